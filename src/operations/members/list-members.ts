/** Who may write in a space. */
import type { MemberView } from '../operations.ts'
import type { SpaceBook } from '../space-book.ts'
import { memberView } from './membership.ts'

/** The creator first, then by key. In an open space the creator alone, for it alone has more rights than anyone. */
export function listMembers(book: SpaceBook, space: string): readonly MemberView[] {
  const state = book.find(space)
  return state.members.map((member) => memberView(state, member))
}
