/** A checkpoint, sent in slices that are never sent twice, then contributed. */
import { parseWeight } from '../../core/decimal.ts'
import { isTributaryError, TributaryError } from '../../core/errors.ts'
import { isName } from '../../core/ids.ts'
import type { Contributed, MemberView, SpaceView } from '../../operations/operations.ts'
import { cacheDirectoryOf } from '../cache-directory.ts'
import { inPath, type ReplicaClient } from '../client.ts'
import { type Command, type Given, REPLICA_OPTIONS } from '../command.ts'
import { listFiles } from '../local-files.ts'
import { patiently } from '../patience.ts'
import { counted, facts, sizeText } from '../text.ts'
import { typed } from '../typed.ts'
import { uploadFiles } from '../upload.ts'
import { uploadMemory } from '../upload-memory.ts'

export const push: Command = {
  arguments: [{ name: '<PATH>', about: 'directory of a checkpoint, or one safetensors file' }],
  options: [
    { flags: '--space <SPACE>', about: 'name or id of the space', required: true },
    { flags: '--name <NAME>', about: 'name of the contribution; it replaces the one of that name', required: true },
    { flags: '--weight <W>', about: 'weight in merges (default: 1)' },
    { flags: '--base <REF>', about: 'what it was trained from: space/name, model:HEX or a content root' },
    { flags: '--samples <N>', about: 'how many samples it was trained on' },
    { flags: '--license <ID>', about: 'licence, as an SPDX id' },
    { flags: '--tag <TAG>', about: 'a tag, for recipes to select by', repeated: true },
    ...REPLICA_OPTIONS,
  ],
  notes:
    'Where the connection breaks or the replica has no time, it waits a little and goes on, some times over. An upload that was broken off all the same goes on when the same command is given again within 24 hours.',
  example: 'tributary push out/checkpoint-900 --space med-7b --name oslo --samples 18000',
  afterStop: 'run the same command again: the upload goes on where it stopped',

  async run(frame, given) {
    const { io, talk, answer, local, replica } = frame
    const path = given.argument(0)
    const about = offerOf(given)
    const space = given.text('space') ?? ''
    const client = await replica(given)
    await checkSpace(client, space)

    const view = await local(given, (operations) => operations.inspectPath(path))
    for (const one of view.left_out) talk.warn(`${one.path} was left out: ${one.why}`)
    const files = await listFiles(path, new Set(view.left_out.map((one) => one.path)))
    const total = files.reduce((sum, { bytes }) => sum + bytes, 0)
    talk.say(`${counted(files.length, 'file')}, ${counted(view.tensors.length, 'tensor')}, ${sizeText(total)}`)

    const memory = uploadMemory(cacheDirectoryOf(io), client.url, files)
    const line = talk.progress('Uploading')
    const { model, warnings } = await uploadFiles({
      around: frame,
      client,
      files,
      memory,
      onProgress: line.update,
      onResume: (bytes) => talk.say(`going on with an upload of which ${sizeText(bytes)} are there`),
    })
    line.done()
    for (const warning of warnings) talk.warn(warning)

    const contributed = await patiently(frame, () =>
      client.post<Contributed>(`/v1/spaces/${inPath(space)}/contributions`, { model, ...about }),
    )
    await memory.forget()
    answer(contributed, () =>
      facts([
        ['contribution', contributed.id],
        ['model', contributed.model],
        ['content', contributed.content],
        ['root', contributed.root],
      ]),
    )
    return undefined
  },
}

/** What is said about the model, checked before anything is sent. Numbers go as they were written. */
function offerOf(given: Given): Record<string, unknown> {
  const name = given.text('name') ?? ''
  if (!isName(name))
    throw new TributaryError('USAGE', `${name} can be no name of a contribution`, {
      hint: 'use letters, digits, dots, dashes and underscores, at most 96',
    })
  const [weight, base, samples, license] = ['weight', 'base', 'samples', 'license'].map((option) => given.text(option))
  if (weight !== undefined) typed(() => parseWeight(weight))
  if (samples !== undefined && !(/^\d+$/.test(samples) && Number.isSafeInteger(Number(samples))))
    throw new TributaryError('USAGE', `--samples ${samples} is no count`, { hint: 'give a whole number' })
  const tags = given.list('tag')
  return {
    name,
    ...(weight !== undefined && { weight }),
    ...(base !== undefined && { base }),
    ...(samples !== undefined && { samples: Number(samples) }),
    ...(license !== undefined && { license }),
    ...(tags.length > 0 && { tags }),
  }
}

/** What the replica would refuse at the end is refused before gigabytes are sent to it. */
async function checkSpace(client: ReplicaClient, space: string): Promise<void> {
  const view = await client.get<SpaceView>(`/v1/spaces/${inPath(space)}`).catch((error: unknown) => {
    if (!isTributaryError(error) || error.code !== 'SPACE_NOT_FOUND') throw error
    throw new TributaryError('SPACE_NOT_FOUND', error.message, {
      details: error.details,
      hint: `create it first: tributary spaces create ${space}`,
    })
  })
  if (view.policy.access !== 'members') return
  const { replica } = await client.get<{ readonly replica?: string }>('/v1/peers')
  const members = await client.list<MemberView>(`/v1/spaces/${inPath(space)}/members`)
  const role = members.find(({ key }) => key === replica)?.role
  if (replica === undefined || role === 'admin' || role === 'writer') return
  throw new TributaryError('NOT_ALLOWED', `the replica at ${client.url} may not contribute to ${space}`, {
    details: { replica, ...(role !== undefined && { role }) },
    hint: `let an admin of the space add it: tributary members ${space} add ${replica}`,
  })
}
