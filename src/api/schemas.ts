/** The JSON that goes out, as schemas: they describe answers and are held to them by tests; they never change one. */
import { type TSchema, Type } from 'typebox'
import type {
  AmnestyGiven,
  Contributed,
  ContributionView,
  MemberView,
  MergeView,
  ModelAdded,
  ModelView,
  ProofView,
  Readiness,
  SpaceView,
  StrategyView,
  UploadView,
} from '../operations/operations.ts'
import type { PeerView } from '../operations/peers.ts'
import type { Problem } from './problems.ts'

const Id = Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256, lowercase hex' })
const SpaceId = Type.String({ pattern: '^[0-9a-f]{32}$' })
const Count = Type.Integer({ minimum: 0 })
const Time = Type.String({ format: 'date-time' })
const Texts = Type.Array(Type.String())
const TextsByName = Type.Record(Type.String(), Type.String())
const Anything = Type.Unknown()
const closed = { additionalProperties: false } as const
const optional = Type.Optional

type Component = TSchema & { readonly $id: string }
const component = <T extends TSchema>($id: string, schema: T): T & { readonly $id: string } =>
  Object.assign(schema, { $id })
const refer = <View>({ $id }: Component) => Type.Unsafe<View>({ $ref: `${$id}#` })
const listOf = <View>(item: Component) =>
  Type.Unsafe<{ readonly items: readonly View[] }>(Type.Object({ items: Type.Array(refer(item)) }, closed))

const SpaceSchema = component(
  'Space',
  Type.Object(
    {
      id: SpaceId,
      name: Type.String(),
      root: Id,
      ops_root: Id,
      contributions: Count,
      ops: Count,
      fetched_bytes: Type.Integer({
        minimum: 0,
        description: 'Of models that other replicas gave for it: counts against --fetch-quota',
      }),
      policy: Type.Object({ access: Type.Enum(['open', 'members']), rules: Count }, closed),
      base: optional(Type.String()),
      creator: Type.String(),
      conflicts: Texts,
      revoked: Type.Array(Type.Object({ content: Id, reason: optional(Type.String()) }, closed)),
    },
    closed,
  ),
)
const ModelAddedSchema = component('ModelAdded', Type.Object({ model: Id, content: Id, warnings: Texts }, closed))
const ModelSchema = component(
  'Model',
  Type.Object(
    {
      id: Id,
      content: Id,
      bytes: Count,
      tensors: Type.Array(
        Type.Object(
          { name: Type.String(), dtype: Type.String(), shape: Type.Array(Count), bytes: Count, root: Id },
          closed,
        ),
      ),
      files: Type.Array(Type.Object({ path: Type.String(), bytes: Count }, closed)),
      created_at: Time,
    },
    closed,
  ),
)
const UploadSchema = component(
  'Upload',
  Type.Object(
    {
      id: Type.String(),
      expires_at: Time,
      files: Type.Array(Type.Object({ path: Type.String(), bytes: Count, offset: Count }, closed)),
      model: optional(Id),
    },
    closed,
  ),
)
const ContributedSchema = component(
  'Contributed',
  Type.Object({ id: Id, model: Id, content: Id, dot: Id, root: Id }, closed),
)
const ContributionSchema = component(
  'Contribution',
  Type.Object(
    {
      id: Id,
      name: Type.String(),
      model: Id,
      content: Id,
      weight: Type.String({ description: 'A decimal' }),
      kind: Type.String(),
      base: optional(Id),
      samples: optional(Count),
      license: optional(Type.String()),
      tags: optional(Texts),
      sidecars: optional(TextsByName),
      meta: optional(Type.Array(Texts)),
      dots: Type.Array(Type.Object({ op: Id, author: Type.String(), at: Time }, closed)),
      conflict: Type.Boolean(),
      here: Type.Boolean(),
    },
    closed,
  ),
)
const ProofSchema = component(
  'Proof',
  Type.Object({ id: Id, root: Id, index: Count, size: Count, path: Type.Array(Id) }, closed),
)
const MemberSchema = component(
  'Member',
  Type.Object(
    {
      key: Id,
      role: Type.Enum(['admin', 'writer', 'reader']),
      from_epoch: Count,
      creator: Type.Boolean(),
      forked_epochs: Type.Array(Count),
      amnesty: Type.Boolean({ description: 'Do ops after its last forked epoch count?' }),
    },
    closed,
  ),
)
const AmnestySchema = component('Amnesty', Type.Object({ key: Id, from_epoch: Count }, closed))
const PeerSchema = component(
  'Peer',
  Type.Object(
    {
      url: optional(Type.String({ description: 'Where it is dialed; absent for one that dialed us' })),
      replica: optional(Id),
      state: Type.Enum(['dialing', 'greeting', 'linked', 'known'], {
        description: 'known: an address that was told, and that is not dialed now',
      }),
      source: Type.Enum(['operator', 'learned', 'accepted'], {
        description: 'Named by the operator, told of by other replicas, or it dialed us',
      }),
      told_by: optional(Id),
      since: Time,
      last_seen: optional(Time),
      spaces: Type.Array(
        Type.Object({ id: Type.String(), in_sync: Type.Boolean(), lag_seconds: optional(Type.Integer()) }, closed),
        {
          description:
            'Spaces synced over this link: do both keep the same ops, as far as was told, and for how long do they not?',
        },
      ),
      offered: Type.Array(Type.String(), { description: 'Its spaces that are not kept here; naming it brings them' }),
      last_failure: optional(Type.String()),
    },
    closed,
  ),
)
const MergeSchema = component(
  'Merge',
  Type.Object(
    {
      id: Id,
      state: Type.Enum(['queued', 'running', 'done', 'failed', 'cancelled', 'blocked']),
      root: Id,
      bytes_done: Count,
      bytes_total: Count,
      error: optional(
        Type.Object({ code: Type.String(), message: Type.String(), hint: optional(Type.String()) }, closed),
      ),
      missing: optional(Texts),
      model: optional(Id),
      content: optional(Id),
      created_at: Time,
      warnings: optional(Texts),
    },
    closed,
  ),
)
const ReceiptSchema = component(
  'Receipt',
  Type.Object({
    statement: Type.Object({}, { description: 'The same on every run of this merge' }),
    statement_id: Id,
    about: Type.Object({}, { description: 'When, where and by whom' }),
    about_id: Id,
  }),
)
const StrategySchema = component(
  'Strategy',
  Type.Object(
    {
      id: Type.String(),
      version: Count,
      family: Type.String(),
      shape: Type.String(),
      title: Type.String(),
      summary: Type.String(),
      references: Texts,
      aliases: Type.Array(
        Type.Object(
          { id: Type.String(), params: Type.Record(Type.String(), Anything), requires: optional(Texts) },
          closed,
        ),
      ),
      params: Anything,
      per_contribution: optional(Anything),
      needs: Anything,
      laws: Anything,
      incremental: Type.Boolean(),
      passes: Count,
    },
    closed,
  ),
)
const ReadinessSchema = component('Readiness', Type.Object({ ready: Type.Boolean(), checks: TextsByName }, closed))
export const ProblemSchema = component(
  'Problem',
  Type.Object(
    {
      type: Type.String({ description: 'A stable URN, one for each code' }),
      title: Type.String(),
      status: Count,
      detail: Type.String(),
      instance: Type.String(),
      code: Type.String(),
      hint: optional(Type.String({ description: 'The one thing to do next' })),
      pointer: optional(Type.String({ description: 'JSON pointer to the field at fault' })),
      details: Type.Record(Type.String(), Anything),
    },
    closed,
  ),
)

export const components: readonly Component[] = [
  SpaceSchema,
  ModelSchema,
  ModelAddedSchema,
  UploadSchema,
  ContributedSchema,
  ContributionSchema,
  ProofSchema,
  MemberSchema,
  AmnestySchema,
  PeerSchema,
  MergeSchema,
  ReceiptSchema,
  StrategySchema,
  ReadinessSchema,
  ProblemSchema,
]

export const Space = refer<SpaceView>(SpaceSchema)
export const Spaces = listOf<SpaceView>(SpaceSchema)
export const Model = refer<ModelView>(ModelSchema)
export const Added = refer<Omit<ModelAdded, 'created'>>(ModelAddedSchema)
export const Upload = refer<UploadView>(UploadSchema)
export const Offered = refer<Omit<Contributed, 'created'>>(ContributedSchema)
export const Contribution = refer<ContributionView>(ContributionSchema)
export const Contributions = listOf<ContributionView>(ContributionSchema)
export const Proof = refer<ProofView>(ProofSchema)
export const Member = refer<MemberView>(MemberSchema)
export const Members = listOf<MemberView>(MemberSchema)
export const Peer = refer<PeerView>(PeerSchema)
export const PeerList = Type.Unsafe<{ readonly replica: string; readonly items: readonly PeerView[] }>(
  Type.Object({ replica: Id, items: Type.Array(Peer) }, closed),
)
export const Amnesty = refer<Omit<AmnestyGiven, 'created'>>(AmnestySchema)
export const Merge = refer<MergeView>(MergeSchema)
export const Merges = Type.Unsafe<{ readonly items: readonly MergeView[]; readonly next_cursor?: string }>(
  Type.Object({ items: Type.Array(Merge), next_cursor: optional(Type.String()) }, closed),
)
export const Receipt = refer<string>(ReceiptSchema)
export const Strategy = refer<StrategyView>(StrategySchema)
export const Strategies = listOf<StrategyView>(StrategySchema)
export const Ready = refer<Readiness>(ReadinessSchema)
export const AnyProblem = refer<Problem>(ProblemSchema)

/** Bytes in a body, in either direction. */
export const Binary = Type.Unsafe<AsyncIterable<Uint8Array> | undefined>({ type: 'string', format: 'binary' })
