/** What weights are called. */
import { CACHE_OPTION, type Command } from '../command.ts'
import { followPhases } from '../phases.ts'
import { counted, shown } from '../text.ts'

export const digest: Command = {
  arguments: [{ name: '<PATH>', about: 'a safetensors file, or the directory of a checkpoint' }],
  options: [CACHE_OPTION],
  notes: 'The content root names the weights alone: sharding, header order and file names do not matter.',
  example: 'tributary digest checkpoints/math',
  afterStop: 'run the same command again',

  async run({ talk, signal, answer, local }, given) {
    const phases = followPhases(talk)
    const found = await local(given, (operations) =>
      operations.digestPath(given.argument(0), { onProgress: phases.onProgress, signal }),
    )
    phases.done()
    for (const { path, why } of found.left_out) talk.warn(`${path} was left out: ${why}`)
    for (const { tensor, count } of found.not_finite)
      talk.warn(`${tensor} holds ${counted(count, 'element')} that are NaN or infinite: this model cannot be merged`)
    answer(found, () => [`${shown(found.content)}  ${shown(found.path)}`])
    return undefined
  },
}
