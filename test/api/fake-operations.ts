/** Operations in memory, with no merging and no tensors: enough to see what the HTTP skin makes of their answers. */
import { createHash } from 'node:crypto'
import { TributaryError } from '../../src/core/errors.ts'
import { makeReceipt, type Receipt, statementIdOf } from '../../src/core/receipt.ts'
import type {
  Bytes,
  ContributionView,
  FileReading,
  MemberView,
  MergeView,
  ModelView,
  Operations,
  ReplicaEvent,
  SpaceView,
  StrategyView,
  UploadView,
} from '../../src/operations/operations.ts'
import type { Peers } from '../../src/operations/peers.ts'

export const hex = (text: string | Uint8Array): string => createHash('sha256').update(text).digest('hex')
const TIME = '2000-01-01T00:00:00.000Z'

const missing = (code: ConstructorParameters<typeof TributaryError>[0], what: string) =>
  new TributaryError(code, `there is no ${what} here`, { hint: 'list what there is' })

export async function collect(bytes: Bytes): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export function readingOf(bytes: Uint8Array, contentType: string, knowsSha256 = true): FileReading {
  return {
    bytes: bytes.length,
    etag: hex(bytes).slice(0, 32),
    contentType,
    ...(knowsSha256 ? { sha256: hex(bytes) } : {}),
    // In several chunks, as a disk would give them.
    async *read(start, end) {
      for (let at = start; at < end; at += 1000) yield bytes.subarray(at, Math.min(at + 1000, end))
    },
  }
}

const strategy: StrategyView = {
  id: 'weight_average',
  version: 1,
  family: 'linear',
  shape: 'sum',
  title: 'Weight average',
  summary: 'Average the contributions, each counted by its weight.',
  references: ['https://arxiv.org/abs/2203.05482'],
  aliases: [{ id: 'linear', params: { normalize: true } }],
  params: { type: 'object', properties: {} },
  needs: { base: false },
  laws: { symmetric: true },
  incremental: true,
  passes: 1,
}

function receiptOf(merge: string, content: string): Receipt {
  const statement = {
    v: 1,
    merge,
    inputs: [{ content, kind: 'full', weight: '1' }],
    recipe: { strategy: 'weight_average' },
    recipe_id: hex('recipe'),
    numeric_profile: 'test-1',
    versions: [['weight_average', 1]],
    seed: hex('seed'),
    scalars: [],
    output: { content, tensors: [], files: [] },
  } as unknown as Receipt['statement']
  const about: Receipt['about'] = {
    v: 1,
    statement: statementIdOf(statement),
    created_at: TIME,
    program: 'test',
    machine: 'test',
    signed: false,
    signatures: [],
  }
  return makeReceipt(statement, about)
}

interface FakeModel {
  readonly view: ModelView
  readonly files: ReadonlyMap<string, Uint8Array>
}
interface FakeUpload {
  view: UploadView
  readonly parts: Map<string, Buffer>
}

export interface FakeOperations extends Operations {
  /** What the skin handed over, call by call. */
  /** Goes to whoever watches first. */
  tell(event: ReplicaEvent): void
  readonly watchers: ReadonlySet<() => void>
  readonly calls: (readonly [keyof Operations, ...unknown[]])[]
  /** The next call of this name fails so. */
  fail(name: keyof Operations, error: Error): void
  finishMerge(id: string, output: Uint8Array): void
  ready: boolean
}

export function createFakeOperations(): FakeOperations {
  const spaces = new Map<string, SpaceView>()
  const models = new Map<string, FakeModel>()
  const uploads = new Map<string, FakeUpload>()
  const contributions = new Map<string, ContributionView>()
  const members = new Map<string, MemberView>()
  const merges = new Map<string, MergeView>()
  const outputs = new Map<string, Uint8Array>()
  const failures = new Map<keyof Operations, Error>()
  const events: ReplicaEvent[] = []
  const watchers = new Set<() => void>()
  const calls: FakeOperations['calls'] = []

  const took = (name: keyof Operations, ...args: unknown[]): void => {
    calls.push([name, ...args])
    const failure = failures.get(name)
    failures.delete(name)
    if (failure !== undefined) throw failure
  }
  const spaceOf = (ref: string): SpaceView => {
    const found = [...spaces.values()].filter(({ id, name }) => id === ref || name === ref)
    if (found.length > 1)
      throw new TributaryError('SPACE_NAME_AMBIGUOUS', `${found.length} spaces are called ${ref}`, {
        details: { ids: found.map(({ id }) => id) },
        hint: 'use an id',
      })
    if (found[0] === undefined) throw missing('SPACE_NOT_FOUND', `space ${ref}`)
    return found[0]
  }
  const contributionOf = (id: string): ContributionView => {
    const found = contributions.get(id)
    if (found === undefined) throw missing('CONTRIBUTION_NOT_FOUND', `contribution ${id}`)
    return found
  }
  const mergeOf = (id: string): MergeView => {
    const found = merges.get(id)
    if (found === undefined) throw missing('MERGE_NOT_FOUND', `merge ${id}`)
    return found
  }
  const uploadOf = (id: string): FakeUpload => {
    const found = uploads.get(id)
    if (found === undefined) throw missing('UPLOAD_NOT_FOUND', `upload ${id}`)
    return found
  }
  const addModel = (files: ReadonlyMap<string, Uint8Array>) => {
    const bytes = Buffer.concat([...files.values()])
    if (bytes.subarray(0, 2).equals(Buffer.from([0x80, 0x02])))
      throw new TributaryError('PICKLE_REFUSED', 'this is a pickle', { hint: 'convert it to safetensors' })
    const [model, content] = [hex(`model${hex(bytes)}`), hex(`content${hex(bytes)}`)]
    const created = !models.has(model)
    const view: ModelView = {
      id: model,
      content,
      bytes: bytes.length,
      tensors: [{ name: 'w', dtype: 'F32', shape: [1], bytes: 4, root: hex('w') }],
      files: [...files].map(([path, file]) => ({ path, bytes: file.length })),
      created_at: TIME,
    }
    models.set(model, { view, files })
    return { model, content, created, warnings: [] }
  }

  return {
    calls,
    watchers,
    tell(event) {
      events.push(event)
      for (const wake of watchers) wake()
    },
    ready: true,
    fail: (name, error) => void failures.set(name, error),
    finishMerge(id, output) {
      outputs.set(id, output)
      merges.set(id, { ...mergeOf(id), state: 'done', content: hex(output), bytes_done: 8 })
    },

    async createSpace(asked) {
      took('createSpace', asked)
      const id = hex(`space${spaces.size}`).slice(0, 32)
      const access = asked.access === 'members' ? 'members' : 'open'
      const space: SpaceView = {
        id,
        name: asked.name,
        root: hex(''),
        ops_root: hex(''),
        contributions: 0,
        ops: 1,
        policy: { access, rules: 1 },
        creator: hex('creator'),
        fetched_bytes: 0,
        conflicts: [],
        revoked: [],
      }
      spaces.set(id, space)
      return space
    },
    listSpaces: () => [...spaces.values()],
    findSpace(ref) {
      took('findSpace', ref)
      return spaceOf(ref)
    },

    async uploadModel(body, about) {
      took('uploadModel', about)
      return addModel(new Map([['model.safetensors', await collect(body)]]))
    },
    findModel(id) {
      took('findModel', id)
      const found = models.get(id)
      if (found === undefined) throw missing('MODEL_NOT_FOUND', `model ${id}`)
      return found.view
    },
    async readModelFile(id, path) {
      took('readModelFile', id, path)
      const bytes = models.get(id)?.files.get(path)
      if (bytes === undefined) throw missing('FILE_NOT_FOUND', `file ${path}`)
      return readingOf(bytes, path.endsWith('.html') ? 'text/html' : 'application/octet-stream')
    },

    async startUpload(files) {
      took('startUpload', files)
      const id = hex(`upload${uploads.size}`).slice(0, 32)
      const view = { id, expires_at: TIME, files: files.map(({ path, bytes }) => ({ path, bytes, offset: 0 })) }
      uploads.set(id, { view, parts: new Map(files.map(({ path }) => [path, Buffer.alloc(0)])) })
      return view
    },
    findUpload: (id) => uploadOf(id).view,
    async writeUpload(id, path, offset, body) {
      took('writeUpload', id, path, offset)
      const upload = uploadOf(id)
      const before = upload.parts.get(path)
      if (before === undefined) throw missing('FILE_NOT_FOUND', `file ${path}`)
      if (before.length !== offset)
        throw new TributaryError('UPLOAD_OFFSET_MISMATCH', `${before.length} bytes are here, not ${offset}`, {
          details: { offset: before.length },
          hint: `go on from byte ${before.length}`,
        })
      const after = Buffer.concat([before, await collect(body)])
      upload.parts.set(path, after)
      const files = upload.view.files.map((file) => (file.path === path ? { ...file, offset: after.length } : file))
      upload.view = { ...upload.view, files }
      return after.length
    },
    async finishUpload(id) {
      took('finishUpload', id)
      const { view, parts } = uploadOf(id)
      if (view.files.some(({ bytes, offset }) => bytes !== offset))
        throw new TributaryError('UPLOAD_INCOMPLETE', 'some bytes have not come yet', { hint: 'send the rest' })
      return addModel(parts)
    },

    async contribute(ref, offer) {
      took('contribute', ref, offer)
      const space = spaceOf(ref)
      const content = models.get(offer.model)?.view.content
      if (content === undefined) throw missing('MODEL_NOT_FOUND', `model ${offer.model}`)
      const weight = String(offer.weight ?? 1)
      const id = hex(`${offer.model}${offer.name}${weight}`)
      const created = !contributions.has(id)
      const { model, name, samples, license, tags } = offer
      contributions.set(id, {
        id,
        name,
        model,
        content,
        weight,
        kind: offer.kind ?? 'full',
        ...(samples === undefined ? {} : { samples }),
        ...(license === undefined ? {} : { license }),
        ...(tags === undefined ? {} : { tags }),
        dots: [{ op: hex('dot'), author: hex('author'), at: TIME }],
        conflict: false,
        here: true,
      })
      spaces.set(space.id, { ...space, contributions: contributions.size })
      return { id, model, content, dot: hex('dot'), root: hex('root'), created }
    },
    listContributions(ref) {
      spaceOf(ref)
      return [...contributions.values()]
    },
    findContribution(ref, id) {
      spaceOf(ref)
      return contributionOf(id)
    },
    proveContribution(ref, id) {
      spaceOf(ref)
      return { id: contributionOf(id).id, root: hex('root'), index: 0, size: 1, path: [] }
    },
    async retract(ref, id) {
      took('retract', ref, id)
      contributions.delete(contributionOf(id).id)
      return spaceOf(ref)
    },
    async revoke(ref, content, reason) {
      took('revoke', ref, content, reason)
      const space = spaceOf(ref)
      const revoked = [...space.revoked, { content, ...(reason === undefined ? {} : { reason }) }]
      spaces.set(space.id, { ...space, revoked })
      return spaceOf(ref)
    },

    listMembers(ref) {
      spaceOf(ref)
      return [...members.values()]
    },
    async addMember(ref, asked) {
      took('addMember', ref, asked)
      spaceOf(ref)
      const known = members.get(asked.key)
      const created = known?.role !== asked.role
      const role = asked.role as MemberView['role']
      const member: MemberView = {
        key: asked.key,
        role,
        from_epoch: 0,
        creator: false,
        forked_epochs: [],
        amnesty: false,
      }
      members.set(asked.key, member)
      return { member, created }
    },
    async removeMember(ref, key, reason) {
      took('removeMember', ref, key, reason)
      spaceOf(ref)
      if (!members.delete(key)) throw missing('MEMBER_NOT_FOUND', `member ${key}`)
      return [...members.values()]
    },
    async giveAmnesty(ref, asked) {
      took('giveAmnesty', ref, asked)
      spaceOf(ref)
      return { key: asked.key, from_epoch: asked.from_epoch ?? 1, created: asked.from_epoch === undefined }
    },

    async startMerge(ref, recipe) {
      took('startMerge', ref, recipe)
      spaceOf(ref)
      const id = hex(JSON.stringify(recipe))
      const created = !merges.has(id)
      const queued = {
        id,
        state: 'queued',
        root: hex('root'),
        bytes_done: 0,
        bytes_total: 8,
        created_at: TIME,
      } as const
      const merge: MergeView = merges.get(id) ?? queued
      merges.set(id, merge)
      return { merge, created }
    },
    listMerges(ref, { limit = 50, cursor = '0' } = {}) {
      took('listMerges', ref, { limit, cursor })
      spaceOf(ref)
      const from = Number(cursor)
      const items = [...merges.values()].slice(from, from + limit)
      return { items, ...(from + limit < merges.size ? { next_cursor: String(from + limit) } : {}) }
    },
    findMerge(ref, id) {
      spaceOf(ref)
      return mergeOf(id)
    },
    async cancelMerge(ref, id) {
      took('cancelMerge', ref, id)
      spaceOf(ref)
      const cancelled: MergeView = { ...mergeOf(id), state: 'cancelled' }
      merges.set(id, cancelled)
      return cancelled
    },
    async readOutput(ref, id) {
      spaceOf(ref)
      const output = outputs.get(mergeOf(id).id)
      if (output === undefined) throw new TributaryError('MERGE_NOT_DONE', 'it runs still', { hint: 'wait for it' })
      return readingOf(output, 'application/octet-stream')
    },
    findReceipt(ref, id) {
      spaceOf(ref)
      const { content } = mergeOf(id)
      if (content === undefined) throw missing('RECEIPT_NOT_FOUND', `receipt of ${id}`)
      return receiptOf(id, content)
    },

    async readBlob(kind, digest, ticket) {
      took('readBlob', kind, digest, ticket)
      if (digest !== hex('blob')) throw missing('BLOB_NOT_FOUND', `${kind} ${digest}`)
      return readingOf(Buffer.from('the bytes of a blob'), 'application/octet-stream', false)
    },
    async readLeaves(root, ticket) {
      took('readLeaves', root, ticket)
      return readingOf(Buffer.from(hex('leaf'), 'hex'), 'application/octet-stream', false)
    },
    giveTicket: () => 'ticket',

    watchEvents(wake) {
      watchers.add(wake)
      return { take: () => events.splice(0), end: () => void watchers.delete(wake) }
    },

    listStrategies: () => [strategy],
    findStrategy(id) {
      if (id !== strategy.id) throw missing('STRATEGY_NOT_FOUND', `strategy ${id}`)
      return strategy
    },
    async figures() {
      const states = { queued: 0, running: 1, done: 2, failed: 0, cancelled: 0, blocked: 0 }
      return {
        spaces: spaces.size,
        ops: 3,
        contributions: contributions.size,
        models: models.size,
        receipts: 0,
        unfinished_uploads: uploads.size,
        merges: states,
        merged_bytes: 7,
        fetched_bytes: 300,
        fetched_bytes_of_largest_space: 200,
        fetch_quota_bytes: 900,
        blob_bytes_given: 5,
        blob_bytes_received: 6,
        forked_keys: 1,
        own_forked_epochs: 0,
        damaged_models: 1,
        rotten_blobs: 2,
        scrubbed_bytes: 3,
        free_bytes: 1000,
      }
    },
    async readiness() {
      return { ready: this.ready, checks: { database: this.ready ? 'ok' : 'it does not answer' } }
    },
    identity: () => ({ replica: hex('replica'), epoch: 1, version: '0.0.0' }),
  }
}

/** A replica that is alone. */
export const noPeers: Peers = {
  self: 'e'.repeat(64) as Peers['self'],
  list: () => [],
  counts: () => new Map(),
  parkedOps: () => 7,
  add: () => {
    throw new Error('no peer was expected')
  },
}
