/** Signatures for the simulator: a keyed hash, a hundred times as quick as Ed25519. Who knows a name can sign for it. */
import { concat, equalBytes, fromHex, utf8 } from '../../src/core/bytes.ts'
import { sha256, sha256Hex } from '../../src/core/digest.ts'
import type { ReplicaId } from '../../src/core/ids.ts'
import { makeOp, type SignedOp, type Verify } from '../../src/core/op.ts'
import type { OpRecord } from '../../src/core/op-schemas.ts'
import type { Identity } from '../../src/replication/peer-session.ts'

const keyedHash = (rid: ReplicaId, bytes: Uint8Array): Uint8Array => {
  const half = sha256(fromHex(rid), bytes)
  return concat(half, half)
}

export const stubVerify: Verify = (_domain, bytes, rid, signature) => equalBytes(keyedHash(rid, bytes), signature)

export const stubIdentity = (rid: ReplicaId): Identity => ({
  rid,
  sign: (proof) => keyedHash(rid, proof),
  verify: (proof, by, signature) => equalBytes(keyedHash(by, proof), signature),
})

export const ridOf = (node: number): ReplicaId => sha256Hex(utf8(`replica ${node}`)) as ReplicaId

export function stubSigned<R extends OpRecord>(record: R): SignedOp<R> {
  const op = makeOp(record)
  return { ...op, signature: keyedHash(record.rid, op.bytes) }
}
