/** What a person calls a model on a replica, looked up there: a contribution, a model, the output of a merge. */
import { closest } from '../core/closest.ts'
import { TributaryError } from '../core/errors.ts'
import { isHex64 } from '../core/ids.ts'
import type { ContributionView, MergeView } from '../operations/operations.ts'
import { inPath, type ReplicaClient } from './client.ts'

/** `name` or `name@id-prefix`. A name with several contributions is refused, with the ways to say which. */
export async function findContribution(client: ReplicaClient, space: string, which: string): Promise<ContributionView> {
  const [name = '', prefix = ''] = which.split('@')
  const all = await client.list<ContributionView>(`/v1/spaces/${inPath(space)}/contributions`)
  const found = all.filter((one) => one.name === name && one.id.startsWith(prefix))
  const [first] = found
  const near = closest(name, [...new Set(all.map((one) => one.name))])
  if (first === undefined)
    throw new TributaryError('CONTRIBUTION_NOT_FOUND', `the space ${space} shows no contribution ${which}`, {
      hint: near === undefined ? `see what there is: tributary ls ${space}` : `did you mean ${near}?`,
    })
  if (found.length > 1)
    throw new TributaryError('SLOT_CONFLICT', `${space}/${name} shows ${found.length} contributions`, {
      details: { one_of: found.map((one) => `${name}@${one.id.slice(0, 12)}`) },
      hint: 'say which, as name@id-prefix',
    })
  return first
}

export interface Pullable {
  readonly model: string
  /** What its weights must turn out to be, where the reference says so. */
  readonly content?: string
  /** Where its receipt is. */
  readonly receipt?: string
}

const MODEL = 'model:'
const MERGE = 'merge:'

/** `space/name`, `space/name@id-prefix`, `model:HEX`, `merge:SPACE/ID`. */
export async function findPullable(client: ReplicaClient, ref: string): Promise<Pullable> {
  if (ref.startsWith(MODEL)) {
    const model = ref.slice(MODEL.length)
    if (!isHex64(model)) throw noReference(ref)
    return { model }
  }
  const isMerge = ref.startsWith(MERGE)
  const [space = '', which = '', ...more] = (isMerge ? ref.slice(MERGE.length) : ref).split('/')
  if (space === '' || which === '' || more.length > 0) throw noReference(ref)
  if (isMerge) return findOutput(client, space, which)
  const { model, content } = await findContribution(client, space, which)
  return { model, content }
}

async function findOutput(client: ReplicaClient, space: string, id: string): Promise<Pullable> {
  const path = `/v1/spaces/${inPath(space)}/merges/${inPath(id)}`
  const { state, model, content, error } = await client.get<MergeView>(path)
  if (state === 'done' && model !== undefined)
    return { model, ...(content !== undefined && { content }), receipt: `${path}/receipt` }
  throw new TributaryError(
    'MERGE_NOT_DONE',
    `the merge ${id} is ${state}${error === undefined ? '' : `: ${error.message}`}`,
    {
      hint:
        state === 'queued' || state === 'running'
          ? `pull it when it is done: tributary ls ${space} --merges`
          : 'ask for the merge again',
    },
  )
}

const noReference = (ref: string): TributaryError =>
  new TributaryError('USAGE', `${ref} names nothing that can be pulled`, {
    hint: 'write space/name, space/name@id-prefix, model: with 64 hex digits, or merge:space/ID',
  })
