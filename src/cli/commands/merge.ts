/** A recipe over local checkpoints, without a server. */
import { CACHE_OPTION, type Command, RESOURCE_OPTIONS } from '../command.ts'
import { followPhases } from '../phases.ts'
import type { Talk } from '../progress.ts'
import { counted, facts, sizeText } from '../text.ts'

const sayResumed =
  (talk: Talk) =>
  ({ tensors, bytes }: { readonly tensors: number; readonly bytes: number }) =>
    talk.say(`going on where a merge before this one ended: ${counted(tensors, 'tensor')}, ${sizeText(bytes)}, checked`)

export const merge: Command = {
  arguments: [{ name: '<RECIPE>', about: 'recipe file, native or mergekit YAML; paths in it are relative to it' }],
  options: [
    { flags: '--out <DIR>', about: 'directory for the merged model; it must be new or empty', required: true },
    ...RESOURCE_OPTIONS,
    CACHE_OPTION,
  ],
  notes:
    'Writes safetensors, the config and tokenizer files, README.md and receipt.json, which `tributary audit` replays.',
  example: 'tributary merge recipe.yml --out merged/',
  afterStop: 'run the same command again to merge from the start',

  async run({ talk, signal, answer, local }, given) {
    const phases = followPhases(talk)
    const merged = await local(given, (operations) =>
      operations.mergeLocal(
        { recipe: given.argument(0), out: given.text('out') ?? '' },
        { onProgress: phases.onProgress, onResume: sayResumed(talk), signal },
      ),
    )
    phases.done()
    for (const { ref, why } of merged.left_out) talk.warn(`${ref} was left out: ${why}`)
    for (const warning of merged.warnings) talk.warn(warning)
    answer(merged, () =>
      facts([
        ['out', merged.out],
        ['content', merged.content],
        ['merge', merged.id],
        ['strategy', merged.strategy],
        ['inputs', String(merged.inputs.length)],
        [
          'written',
          `${counted(merged.tensors, 'tensor')}, ${counted(merged.files.length, 'file')}, ${sizeText(merged.bytes)}`,
        ],
      ]),
    )
    return undefined
  },
}
