/** Giving a blob to another replica: a tensor, the leaf hashes that verify it chunk by chunk, a file, or a manifest. */
import { TributaryError } from '../../core/errors.ts'
import { type ModelId, type ReplicaId, parseFileDigest, parseModelId, parseTensorRoot } from '../../core/ids.ts'
import type { SpaceState } from '../../core/or-set.ts'
import { type BlobName } from '../../storage/blob-store.ts'
import type { Context } from '../context.ts'
import type { BlobKind, FileReading } from '../operations.ts'
import type { SpaceBook } from '../space-book.ts'
import { CHUNK_BYTES, chunksIn, LEAF_BYTES } from '../../replication/fetch-plan.ts'
import type { LeafCache } from './leaf-cache.ts'
import type { Leave, Tickets } from './tickets.ts'

export interface BlobDesk {
  readonly context: Context
  readonly book: SpaceBook
  readonly tickets: Tickets
  readonly leaves: LeafCache
}

const notHere = (kind: BlobKind, digest: string) =>
  new TributaryError('BLOB_NOT_FOUND', `no ${kind} ${digest} is here for you`, {
    details: { digest },
    hint: 'ask another replica',
  })

/** Without a ticket everything is given: whoever asks has shown the token. */
export async function readBlob(desk: BlobDesk, kind: BlobKind, text: string, ticket?: string): Promise<FileReading> {
  return readShown(desk, kind, text, spaceOf(desk, leaveOf(desk, ticket)))
}

/** For the key on the other side of a link, which has proved it: what its ticket would open. */
export async function readBlobFor(desk: BlobDesk, kind: BlobKind | 'leaves', text: string, leave: Leave) {
  const space = spaceOf(desk, leave)
  return kind === 'leaves' ? leavesShown(desk, text, space) : readShown(desk, kind, text, space)
}

async function readShown(
  desk: BlobDesk,
  kind: BlobKind,
  text: string,
  space: SpaceState | undefined,
): Promise<FileReading> {
  const { blobs, models } = desk.context.storage
  if (kind === 'manifest') {
    const given = parseModelId(text)
    const id = models.has(given) ? given : models.findByContent(given)[0]?.id // who knows of a base knows its content alone
    const isOpen = id !== undefined && (space === undefined || shows(desk, space)(id))
    const model = isOpen ? models.find(id) : undefined
    if (model === undefined) throw notHere(kind, text)
    const { manifest } = model
    return reading(manifest.length, `${model.id}-manifest`, async function* (start, end) {
      yield manifest.subarray(start, end)
    })
  }
  const name: BlobName =
    kind === 'tensor' ? { kind, digest: parseTensorRoot(text) } : { kind, digest: parseFileDigest(text) }
  const stat = isShown(desk, name, space) ? await blobs.stat(name) : undefined
  if (stat === undefined) throw notHere(kind, text)
  return reading(stat.bytes, `${name.digest}-${kind}`, (start, end) => blobs.read(name, start, end))
}

export async function readLeaves(desk: BlobDesk, text: string, ticket?: string): Promise<FileReading> {
  return leavesShown(desk, text, spaceOf(desk, leaveOf(desk, ticket)))
}

async function leavesShown(desk: BlobDesk, text: string, space: SpaceState | undefined): Promise<FileReading> {
  const digest = parseTensorRoot(text)
  const tensor = await readShown(desk, 'tensor', digest, space)
  const bytes = chunksIn(tensor.bytes) * LEAF_BYTES
  return reading(bytes, `${digest}-leaves`, (start, end) => {
    if (start !== 0 || end !== bytes)
      throw new TributaryError('RANGE_NOT_SATISFIABLE', 'leaves are given out whole', { details: { bytes } })
    return tensor.bytes <= CHUNK_BYTES && tensor.bytes > 0 ? oneLeaf(digest) : desk.leaves.read(digest)
  })
}

/** The head of one leaf is the leaf. */
async function* oneLeaf(root: string): AsyncIterable<Uint8Array> {
  yield Buffer.from(root, 'hex')
}

const reading = (bytes: number, etag: string, read: FileReading['read']): FileReading => ({
  bytes,
  etag,
  contentType: 'application/octet-stream',
  read,
})

const leaveOf = ({ context, tickets }: BlobDesk, ticket: string | undefined): Leave | undefined =>
  ticket === undefined ? undefined : tickets.check(ticket, context.now())

function spaceOf({ book }: BlobDesk, leave: Leave | undefined): SpaceState | undefined {
  if (leave === undefined) return undefined
  const state = book.find(leave.space)
  checkMayRead(state, leave.rid) // who was removed since loses it at once
  return state
}

export function checkMayRead({ policy, members, name }: SpaceState, rid: ReplicaId): void {
  if (policy.access === 'open' || members.some((member) => member.rid === rid)) return
  throw new TributaryError('NOT_ALLOWED', `this key is no member of ${name}`, {
    details: { key: rid },
    hint: 'ask an admin of the space to add it',
  })
}

/** Worked out once for each state of a space: each range asks. */
const shownBy = new WeakMap<SpaceState, ReadonlySet<ModelId>>()

function modelsShownBy(space: SpaceState): ReadonlySet<ModelId> {
  let shown = shownBy.get(space)
  if (shown === undefined) {
    shown = new Set(space.visible.flatMap(({ record }) => [record.model, ...Object.values(record.sidecars ?? {})]))
    shownBy.set(space, shown)
  }
  return shown
}

/** What a space shows, and its base. */
function shows({ context }: BlobDesk, space: SpaceState): (id: ModelId) => boolean {
  const shown = modelsShownBy(space)
  const bases = space.base === undefined ? [] : context.storage.models.findByContent(space.base)
  return (id) => shown.has(id) || bases.some((base) => base.id === id)
}

/** Any model that names it will do, and a thousand may share a header: where one was found is remembered. */
const foundIn = new WeakMap<SpaceState, Map<string, ModelId>>()

function isShown(desk: BlobDesk, blob: BlobName, space: SpaceState | undefined): boolean {
  if (space === undefined) return true
  const { models } = desk.context.storage
  let found = foundIn.get(space)
  if (found === undefined) foundIn.set(space, (found = new Map<string, ModelId>()))
  const key = `${blob.kind}/${blob.digest}`
  const known = found.get(key)
  if (known !== undefined && models.has(known)) return true
  const model = models.naming(blob).find(shows(desk, space))
  if (model === undefined) return false
  found.set(key, model)
  return true
}
