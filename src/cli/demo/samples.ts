/** Small models for the demo: two tensors of F32 each, the same bytes on every run. */

const ROWS = 64
const COLUMNS = 64

/** Each number is another fine-tune of one base. */
export function sampleModel(number: number): Uint8Array {
  const weight = Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => wave(i) + wave(i * 7 + number * 31) / 16)
  const bias = Float32Array.from({ length: COLUMNS }, (_, i) => wave(i + number * 17))
  const header = new TextEncoder().encode(
    JSON.stringify({
      'layer.weight': { dtype: 'F32', shape: [ROWS, COLUMNS], data_offsets: [0, weight.byteLength] },
      'layer.bias': {
        dtype: 'F32',
        shape: [COLUMNS],
        data_offsets: [weight.byteLength, weight.byteLength + bias.byteLength],
      },
    }),
  )
  const length = new Uint8Array(8)
  new DataView(length.buffer).setUint32(0, header.length, true)
  return Buffer.concat([length, header, new Uint8Array(weight.buffer), new Uint8Array(bias.buffer)])
}

/** From -1 to 1, without pattern to the eye. */
const wave = (i: number): number => (((i * 2_654_435_761) % 1009) - 504) / 504
