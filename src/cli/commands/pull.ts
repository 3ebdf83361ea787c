/** Files of a model, fetched whole or not at all, held to their content root. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TributaryError } from '../../core/errors.ts'
import type { Receipt } from '../../core/receipt.ts'
import type { ModelView } from '../../operations/operations.ts'
import { inPath } from '../client.ts'
import { type Command, REPLICA_OPTIONS } from '../command.ts'
import { checkPath, claimDirectory, fetchFile, releaseDirectory } from '../download.ts'
import { patiently } from '../patience.ts'
import { followPhases } from '../phases.ts'
import { findPullable } from '../references.ts'
import { counted, facts, sizeText } from '../text.ts'

export const pull: Command = {
  arguments: [{ name: '<REF>', about: 'space/name, space/name@id-prefix, model:HEX, or merge:space/ID' }],
  options: [
    { flags: '--out <DIR>', about: 'directory for the files; it must be new or empty', required: true },
    ...REPLICA_OPTIONS,
  ],
  notes:
    'Gives back the files as they were pushed, and holds the weights to their content root. For the output of a merge\nthe receipt is put beside it. What was broken off goes on where it stopped.',
  example: 'tributary pull med-7b/oslo --out oslo/',
  afterStop: 'run the same command again: what was fetched is kept',

  async run(frame, given) {
    const { talk, signal, answer, local, replica } = frame
    const out = given.text('out') ?? ''
    const client = await replica(given)
    const wanted = await findPullable(client, given.argument(0))
    const view = await client.get<ModelView>(`/v1/models/${inPath(wanted.model)}`)
    for (const { path } of view.files) checkPath(path)
    await claimDirectory(out, wanted.model)

    const total = view.files.reduce((sum, { bytes }) => sum + bytes, 0)
    const line = talk.progress('Fetching')
    let done = 0
    for (const { path } of view.files) {
      const before = done
      await patiently(frame, (gotFurther) => {
        done = before // what is there of the file is counted anew
        return fetchFile({
          client,
          model: wanted.model,
          path,
          out,
          onFetched: gotFurther,
          onBytes: (bytes) => line.update((done += bytes), Math.max(total, done)),
        })
      })
    }
    line.done()

    const content = wanted.content ?? view.content
    const phases = followPhases(talk)
    const found = await local(given, (operations) =>
      operations.digestPath(out, { onProgress: phases.onProgress, signal }),
    )
    phases.done()
    if (found.content !== content)
      throw new TributaryError('DIGEST_MISMATCH', `the weights in ${out} are not those that were asked for`, {
        details: { expected: content, found: found.content },
        hint: 'do not use them: remove the directory, and pull from another replica',
      })
    if (wanted.receipt !== undefined) {
      const { printReceipt } = await import('../../core/receipt.ts')
      await writeFile(join(out, 'receipt.json'), printReceipt(await client.get<Receipt>(wanted.receipt)))
    }
    await releaseDirectory(out)
    answer({ out, model: wanted.model, content, files: view.files.map(({ path }) => path), bytes: done }, () =>
      facts([
        ['out', out],
        ['model', wanted.model],
        ['content', content],
        ['fetched', `${counted(view.files.length, 'file')}, ${sizeText(done)}`],
      ]),
    )
    return undefined
  },
}
