/** The tensors of one model from other replicas: each root once, whichever model needs it, and who lies is asked no more. */
import { isTributaryError } from '../../core/errors.ts'
import type { TensorRoot } from '../../core/ids.ts'
import { fetchTensor } from '../../replication/fetch-tensor.ts'
import type { Manifest } from '../../tensors/manifest.ts'
import type { Context } from '../context.ts'
import { needRoomForFetch } from './fetch-quota.ts'
import type { ModelFetching } from './model-fetching.ts'

/** Small ones side by side, so that their round trips are not paid one after the other. */
const TENSORS_AT_ONCE = 16
/** The next begins when no more than this is left of those under way: of large ones little is lost by a kill. */
const AHEAD_BYTES = 8 * 1024 * 1024

/** Each root once, some at a time; who lied about one is asked for no other. */
export async function fetchTensors(
  { context, clock, sources, signal, underWay, lied }: ModelFetching,
  manifest: Manifest,
): Promise<void> {
  const wanted = [...new Map(manifest.tensors.map(({ root, bytes }) => [root, bytes]))]
  const liars = new Set<string>()
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  const blame = (source: string, what: string) => {
    if (!liars.has(source)) lied(source, what)
    liars.add(source)
  }
  /** Where another model needs it too: by whoever began, and here only if that failed. */
  async function bringOnce(root: TensorRoot, bytes: number, onProgress: (bytesDone: number) => void): Promise<void> {
    for (let other = underWay.get(root); other !== undefined; other = underWay.get(root))
      await other.catch(() => undefined)
    const work = bring(root, bytes, onProgress).finally(() => underWay.delete(root))
    underWay.set(root, work)
    await work
  }
  async function bring(root: TensorRoot, bytes: number, onProgress: (bytesDone: number) => void): Promise<void> {
    if (bytes === 0) return storeEmpty(context, root)
    await fetchTensor(
      { root, bytes },
      {
        storage: context.storage,
        sources: sources.filter(({ id }) => !liars.has(id)),
        clock,
        now: context.now,
        needRoom: (more) => needRoomForFetch(context, more, 'a tensor'),
        signal: both,
        onLie: ({ source, chunk }) =>
          blame(source, `${chunk === undefined ? 'the leaves' : `chunk ${chunk}`} of the tensor ${root}`),
        onProgress: ({ bytesDone }) => onProgress(bytesDone),
      },
    )
  }
  await inTurn(wanted, bringOnce, () => stop.abort())
}

/** Each in its turn, some at a time; the first failure calls off the rest, and is told once all have ended. */
async function inTurn(
  wanted: readonly (readonly [TensorRoot, number])[],
  bring: (root: TensorRoot, bytes: number, onProgress: (bytesDone: number) => void) => Promise<void>,
  callOff: () => void,
): Promise<void> {
  const left = new Map<TensorRoot, number>()
  const failures: unknown[] = []
  let wake = (): void => undefined
  const hasRoom = () =>
    left.size < TENSORS_AT_ONCE && [...left.values()].reduce((sum, bytes) => sum + bytes, 0) <= AHEAD_BYTES
  const change = () => new Promise<void>((resolve) => (wake = resolve))
  for (const [root, bytes] of wanted) {
    while (failures.length === 0 && !hasRoom()) await change()
    if (failures.length > 0) break
    left.set(root, bytes)
    const onProgress = (bytesDone: number) => {
      left.set(root, bytes - bytesDone)
      wake()
    }
    void bring(root, bytes, onProgress)
      .catch((error: unknown) => {
        failures.push(error)
        callOff()
      })
      .finally(() => {
        left.delete(root)
        wake()
      })
  }
  while (left.size > 0) await change()
  const told = failures.find((error) => !(isTributaryError(error) && error.code === 'INTERRUPTED')) ?? failures[0]
  if (told !== undefined) throw told as Error
}

async function storeEmpty({ storage }: Context, root: TensorRoot): Promise<void> {
  if (await storage.blobs.has({ kind: 'tensor', digest: root })) return
  const writer = await storage.blobs.create('tensor')
  const sealed = await writer.seal()
  if (sealed.name.digest === root) await storage.blobs.publish([sealed])
  else await writer.discard()
}
