/** State vectors of Yjs: how far each chain is known, without a document. One form: highest client first, no zeros. */
import { WireReader, WireWriter } from './wire.ts'

/** By client, the clock that is lacked next. */
export type StateVector = ReadonlyMap<number, number>

export function encodeStateVector(vector: StateVector): Uint8Array {
  const entries = [...vector].filter(([, clock]) => clock > 0).sort(([a], [b]) => b - a)
  return new WireWriter().list(entries, (writer, [client, clock]) => writer.natural(client).natural(clock)).end()
}

/** Refuses whatever Yjs itself would not write for a document of ops. */
export function decodeStateVector(bytes: Uint8Array): StateVector {
  const reader = new WireReader(bytes, 'state-vector')
  const vector = new Map<number, number>()
  let clientBefore = Infinity
  for (let entries = reader.natural(); entries > 0; entries--) {
    const client = reader.natural()
    const clock = reader.natural()
    if (client >= clientBefore || clock === 0) throw reader.refusal('is not sorted, or holds a zero')
    clientBefore = client
    vector.set(client, clock)
  }
  reader.end()
  return vector
}
