/** Headers of safetensors files, for people. */
import type { Command } from '../command.ts'
import { counted, facts, sizeText, table } from '../text.ts'

export const inspect: Command = {
  arguments: [{ name: '<FILE>', about: 'a safetensors file, or the directory of a checkpoint' }],
  example: 'tributary inspect model.safetensors',

  async run({ talk, answer, local }, given) {
    const view = await local(given, (operations) => operations.inspectPath(given.argument(0)))
    for (const { path, why } of view.left_out) talk.warn(`${path} was left out: ${why}`)
    const metadata = view.files.flatMap(({ metadata }) => metadata)
    answer(view, () => [
      ...facts([
        ['path', view.path],
        ['files', view.files.map(({ path, bytes }) => `${path} (${sizeText(bytes)})`).join(', ')],
        ['tensors', `${view.tensors.length}, ${counted(view.elements, 'element')}, ${sizeText(view.bytes)}`],
        [
          'dtypes',
          view.dtypes.map(({ dtype, tensors, bytes }) => `${dtype} ×${tensors} (${sizeText(bytes)})`).join(', '),
        ],
        ...metadata.map(([key, value]) => [`metadata ${key}`, value] as const),
      ]),
      '',
      ...table(
        ['TENSOR', 'DTYPE', 'SHAPE', 'BYTES', 'FILE'],
        view.tensors.map(({ name, dtype, shape, bytes, file }) => [
          name,
          dtype,
          `[${shape.join(', ')}]`,
          sizeText(bytes),
          file,
        ]),
      ),
    ])
    return undefined
  },
}
