/** A check for our own bugs. What it throws is never caught, answered or translated: it ends the request or the process. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message)
}

/** `list[index]`, which must exist. */
export function at<T>(list: ArrayLike<T>, index: number): T {
  const item = list[index]
  invariant(item !== undefined, `no item ${index} in a list of ${list.length}`)
  return item
}
