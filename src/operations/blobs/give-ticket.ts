/** Leave to take the blobs of a space, for the key on the other side of a link. */
import { parseReplicaId } from '../../core/ids.ts'
import { type BlobDesk, checkMayRead } from './read-blob.ts'

/** In an open space for anyone; else for members of any role. The link has proved the key. */
export function giveTicket({ context, book, tickets }: BlobDesk, space: string, key: string): string {
  const state = book.find(space)
  const rid = parseReplicaId(key)
  checkMayRead(state, rid)
  return tickets.give({ rid, space: state.space }, context.now())
}
