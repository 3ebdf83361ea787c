/** Letting a key write, or read, in a space. */
import { TributaryError } from '../../core/errors.ts'
import { parseReplicaId, type ReplicaId } from '../../core/ids.ts'
import { invariant } from '../../core/invariant.ts'
import { type Role, ROLES } from '../../core/op-schemas.ts'
import type { SpaceState } from '../../core/or-set.ts'
import type { Context } from '../context.ts'
import type { MemberAdded } from '../operations.ts'
import type { SpaceBook } from '../space-book.ts'
import { checkMayManage, creatorStays, findMember, memberView, writePaper } from './membership.ts'

export function addMember(
  context: Context,
  book: SpaceBook,
  space: string,
  given: { readonly key: string; readonly role: string },
): MemberAdded {
  const state = book.find(space)
  const member = parseReplicaId(given.key)
  const role = parseRole(given.role)
  checkMayManage(context, state)
  const known = findMember(state, member)
  if (known?.role === role) return { member: memberView(state, known), created: false }
  if (member === state.creator) throw creatorStays(state)
  // The highest grant counts, so a lower one beside it would say nothing.
  if (known !== undefined && ROLES.indexOf(known.role) < ROLES.indexOf(role))
    throw new TributaryError('ROLE_NOT_LOWERED', `this key is ${known.role} in ${state.name}, which is more`, {
      details: { role: known.role },
      hint: 'remove the member first, then add it again with the lower role',
    })

  const fromEp = epochAfterRemovals(state, member)
  const body = { t: 'member.add', member, role, ...(fromEp > 0 && { from_ep: fromEp }) } as const
  const after = writePaper(context, book, state, body)
  const added = findMember(after, member)
  invariant(added !== undefined, 'a grant by an admin counts')
  return { member: memberView(after, added), created: true }
}

function parseRole(text: string): Role {
  const role = ROLES.find((one) => one === text)
  if (role !== undefined) return role
  throw new TributaryError('REQUEST_INVALID', `there is no role ${JSON.stringify(text.slice(0, 40))}`, {
    pointer: '/role',
    hint: `use ${ROLES.join(', ')}`,
  })
}

/** A removal ends every grant that begins no later than it: who comes back begins after it. */
function epochAfterRemovals(state: SpaceState, member: ReplicaId): number {
  const { possible } = state.judged.authority.settled
  const removals = possible.about.get(member)?.removals ?? []
  return removals.reduce((first, { last_ep }) => Math.max(first, last_ep + 1), 0)
}
