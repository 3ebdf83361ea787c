/** Telling what a file is from its first bytes, so that the wrong kind is refused by name and with what to do instead. */
import { TributaryError } from '../core/errors.ts'
import { shown } from './names.ts'

const CONVERT =
  'load it where you trust it, then save it with safetensors: `from safetensors.torch import save_file; save_file(state_dict, "model.safetensors")`'

/** First bytes that tell a file which is no safetensors file. */
const OTHER_KINDS: readonly { readonly start: string; readonly kind: string; readonly hint: string }[] = [
  { start: 'GGUF', kind: 'a GGUF file', hint: 'contribute the checkpoint it was made from, before quantisation' },
  { start: '\x89HDF', kind: 'an HDF5 file', hint: CONVERT },
  { start: '\x93NUMPY', kind: 'a NumPy array', hint: 'save it with safetensors.numpy.save_file' },
  {
    start: 'version https://git-lfs',
    kind: 'a Git LFS pointer, not the file itself',
    hint: 'run `git lfs pull` first',
  },
  { start: '<!', kind: 'a web page', hint: 'the download answered with a page instead of the file; fetch it again' },
  { start: '<h', kind: 'a web page', hint: 'the download answered with a page instead of the file; fetch it again' },
  { start: '\x1f\x8b', kind: 'gzip-compressed', hint: 'decompress it first' },
]

const latin1 = (bytes: Uint8Array, begin: number, end: number): string =>
  String.fromCharCode(...bytes.subarray(begin, end))

/** A zip whose first entry is PyTorch's pickle, or a bare pickle of protocol 2 to 5. */
function isPickle(start: Uint8Array): boolean {
  if (latin1(start, 0, 4) === 'PK\x03\x04') return latin1(start, 30, 30 + 512).includes('data.pkl')
  return start[0] === 0x80 && start[1] !== undefined && start[1] >= 2 && start[1] <= 5
}

const pickleRefused = (what: string, path: string | undefined): TributaryError =>
  new TributaryError(
    'PICKLE_REFUSED',
    `${path === undefined ? 'the file' : shown(path)} is ${what}, a format that can run code when it is opened`,
    { hint: CONVERT },
  )

/** For bytes that were meant as safetensors and whose length word makes no sense. Returns where it knows nothing better. */
export function refuseOtherKind(start: Uint8Array, path?: string): void {
  if (latin1(start, 0, 4) === 'PK\x03\x04') throw pickleRefused('a zip archive, as PyTorch saves pickles', path)
  if (isPickle(start)) throw pickleRefused('a Python pickle', path)
  const other = OTHER_KINDS.find(({ start: magic }) => latin1(start, 0, magic.length) === magic)
  if (other !== undefined)
    throw new TributaryError(
      'MEDIA_TYPE_UNSUPPORTED',
      `${path === undefined ? 'the file' : shown(path)} is ${other.kind}, where a safetensors file is wanted`,
      { hint: other.hint },
    )
}

/** For the files beside the weights, whatever they are called: none may be a pickle. */
export function refusePickle(path: string, start: Uint8Array): void {
  if (isPickle(start)) throw pickleRefused('a Python pickle', path)
}

const PICKLE_ENDING = /\.(bin|pt|pth|ckpt|pkl|pickle)(\.index\.json)?$/i
/** By its name alone: a pickle, or the index of pickled shards. */
export const isPickleName = (path: string): boolean => PICKLE_ENDING.test(path)
