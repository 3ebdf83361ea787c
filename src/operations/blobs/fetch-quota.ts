/**
 * What other replicas may make this one keep: so many bytes of models for each space, counted from when they are asked for
 * until the sweep has dropped them. What was uploaded here is no part of it, and is never refused for it.
 */
import { TributaryError } from '../../core/errors.ts'
import type { ModelId, SpaceId } from '../../core/ids.ts'
import type { Fetched } from '../../storage/fetched-repository.ts'
import type { Context } from '../context.ts'
import { needRoom } from '../room.ts'

/** Bytes that this space may still fetch, where what is kept for `model` already is to be counted anew. */
export function quotaLeft({ storage, limits }: Context, space: SpaceId, model?: ModelId): number {
  const known = model === undefined ? undefined : storage.fetched.find(model)
  const before = known?.space === space ? known.bytes : 0
  return Math.max(0, limits.fetchedBytesMax - storage.fetched.bytesOf(space) + before)
}

export function quotaReached({ storage, limits }: Context, space: SpaceId, what: string): TributaryError {
  const fetched = storage.fetched.bytesOf(space)
  const message = `${what}, and of the ${limits.fetchedBytesMax} bytes that a space may take from other replicas ${fetched} are taken`
  return new TributaryError('QUOTA_REACHED', message, {
    details: { space, fetched, quota: limits.fetchedBytesMax },
    hint: 'start with a larger --fetch-quota, or revoke what should not be there',
  })
}

/** So many bytes of a model in all: counted before the next are asked for, or refused. */
export function takeOfQuota(context: Context, fetched: Fetched, what: string): void {
  const { model, space, bytes } = fetched
  if (bytes > quotaLeft(context, space, model)) throw quotaReached(context, space, `${what} takes ${bytes} bytes`)
  context.storage.fetched.put(fetched)
}

/** Room for what other replicas send: it ends while uploads still have some. */
export const needRoomForFetch = (context: Context, bytes: number, what: string): Promise<void> =>
  needRoom(context, bytes, what, context.limits.fetchFreeBytesMin)

/** Where neither its manifest nor its bytes are here any more. */
export function forgetFetched({ storage }: Context, model: ModelId): void {
  if (storage.models.find(model) === undefined && storage.manifests.find(model) === undefined)
    storage.fetched.remove(model)
}
