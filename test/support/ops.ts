/**
 * Builders of signed ops: `aSpace()`, `aWriter(seed)`, `writer.add(space, { name: 'a' })`. A writer keeps its own chain
 * and signs only when somebody looks at the signature, so long histories are cheap to make.
 */
import { utf8 } from '../../src/core/bytes.ts'
import { type ContributionDraft, makeContribution } from '../../src/core/contribution.ts'
import { emptyHead, headAfter, type ChainHead } from '../../src/core/author.ts'
import { sha256, sha256Hex } from '../../src/core/digest.ts'
import type { ContentRoot, Digest, ModelId, Name, OpId, ReplicaId, SetRoot, SpaceId } from '../../src/core/ids.ts'
import { aclOf, evidenceOf, makeOp, type Op, type SignedOp, spaceIdOf } from '../../src/core/op.ts'
import type { Body, OpRecord, Policy, Role, SpaceInitRecord } from '../../src/core/op-schemas.ts'
import { type KeyPair, keyPairFromSeed, sign } from '../../src/core/signature.ts'

const keys = new Map<number, KeyPair>()
export const keyOf = (seed: number): KeyPair => {
  const key = keys.get(seed) ?? keyPairFromSeed(sha256(utf8(`writer ${seed}`)))
  keys.set(seed, key)
  return key
}

/** A content root, or any other digest, that stands for a word. */
export const contentOf = (word: string): ContentRoot => sha256Hex(utf8(`content ${word}`)) as ContentRoot

/** An op whose signature is made when it is first read. */
export function lazilySigned<R extends OpRecord>(record: R, key: KeyPair): SignedOp<R> {
  let signature: Uint8Array | undefined
  const op = makeOp(record)
  return {
    ...op,
    get signature() {
      return (signature ??= sign('op', op.bytes, key))
    },
  }
}

export interface ASpace {
  readonly id: SpaceId
  readonly init: SignedOp<SpaceInitRecord>
  /** Who made it; its chain goes on after the first op. */
  readonly creator: AWriter
  /** What a writer who has seen no other membership op puts into its ops. */
  readonly acl: SetRoot
}

export interface SpaceDraft {
  readonly access?: Policy['access']
  readonly name?: string
  readonly creator?: AWriter
  readonly nonce?: string
  readonly rules?: number
  readonly base?: ContentRoot
}

export function aSpace({ access = 'open', name = 'team', creator = aWriter(0), ...more }: SpaceDraft = {}): ASpace {
  const { nonce = 'nonce', rules = 1, base } = more
  const record: SpaceInitRecord = {
    v: 1,
    g: 0,
    rid: creator.rid,
    ep: creator.ep,
    seq: 0,
    hlc: 1,
    t: 'space.init',
    name: name as Name,
    nonce: sha256Hex(utf8(nonce)) as Digest,
    policy: { access, rules },
    ...(base !== undefined && { base }),
  }
  const init = lazilySigned(record, creator.key)
  const id = spaceIdOf(init)
  creator.head.set(id, headAfter(init))
  return { id, init, creator, acl: aclOf([init.id]) }
}

export interface AddDraft extends Partial<Omit<ContributionDraft, 'content'>> {
  /** A word, from which the content root is made. */
  readonly content?: string
  readonly replaces?: readonly Op[]
}

export interface Removal {
  readonly last_ep: number
  readonly last_seq: number
  readonly earlier?: readonly (readonly [number, number])[]
}

export interface AWriter {
  readonly key: KeyPair
  readonly rid: ReplicaId
  readonly ep: number
  /** Where the chain in each space ends. Set it back to make a fork. */
  readonly head: Map<SpaceId, ChainHead>
  /** The next op, whatever it says. */
  write(space: ASpace, body: Body, hlc?: number): SignedOp
  add(space: ASpace, draft?: AddDraft): SignedOp
  remove(space: ASpace, ...dots: readonly Op[]): SignedOp
  revoke(space: ASpace, content: string, reason?: string): SignedOp
  grant(space: ASpace, member: AWriter, role?: Role, fromEp?: number): SignedOp
  expel(space: ASpace, member: AWriter, end: Removal): SignedOp
  accuse(space: ASpace, one: SignedOp, two: SignedOp): SignedOp
  pardon(space: ASpace, member: AWriter, evidence: Op, fromEp: number): SignedOp
  /** The next op follows this one again, whatever has been written since: a fork. */
  rewind(space: ASpace, to: Op): void
  /** The same key in another epoch, with chains of its own. */
  inEpoch(ep: number): AWriter
}

export function aWriter(seed: number, ep = 0): AWriter {
  const key = keyOf(seed)
  const head = new Map<SpaceId, ChainHead>()
  const writer: AWriter = {
    key,
    rid: key.rid,
    ep,
    head,
    write(space, body, hlc) {
      const last = head.get(space.id) ?? emptyHead(ep)
      const record = {
        v: 1 as const,
        sp: space.id,
        g: 0,
        rid: key.rid,
        ep,
        seq: last.nextSeq,
        ...(last.lastId !== undefined && { prev: last.lastId }),
        hlc: hlc ?? last.lastHlc + 1,
        acl: space.acl,
        ...body,
      }
      const op = lazilySigned(record, key)
      head.set(space.id, headAfter(op))
      return op
    },
    add(space, { content, replaces = [], ...draft } = {}) {
      const name = draft.name ?? 'slot'
      const word = content ?? name
      const contribution = makeContribution({
        model: sha256Hex(utf8(`model ${word}`)) as ModelId,
        ...draft,
        name,
        content: contentOf(word),
      })
      return writer.write(space, { t: 'add', contribution, replaces: idsOf(replaces) })
    },
    remove: (space, ...dots) => writer.write(space, { t: 'remove', dots: idsOf(dots) }),
    revoke: (space, content, reason) =>
      writer.write(space, { t: 'revoke', content: contentOf(content), ...(reason !== undefined && { reason }) }),
    grant: (space, member, role = 'writer', fromEp) =>
      writer.write(space, {
        t: 'member.add',
        member: member.rid,
        role,
        ...(fromEp !== undefined && { from_ep: fromEp }),
      }),
    expel: (space, member, end) => writer.write(space, { t: 'member.remove', member: member.rid, ...end }),
    accuse: (space, one, two) => writer.write(space, evidenceOf(one, two)),
    pardon: (space, member, evidence, fromEp) =>
      writer.write(space, { t: 'amnesty', member: member.rid, evidence: evidence.id, from_ep: fromEp }),
    rewind: (space, to) => void head.set(space.id, headAfter(to)),
    inEpoch: (epoch) => aWriter(seed, epoch),
  }
  return writer
}

export const idsOf = (ops: readonly Op[]): OpId[] => [...new Set(ops.map(({ id }) => id))].sort()

/** The same op with its signature made, as it would travel. */
export const asSent = <R extends OpRecord>({ id, record, bytes, signature }: SignedOp<R>): SignedOp<R> => ({
  id,
  record,
  bytes,
  signature,
})
