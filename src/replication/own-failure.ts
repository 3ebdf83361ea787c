/** A failure of this replica's own disk amid what others send: it is nobody else's fault. */
export class OwnFailure extends Error {
  constructor(cause: unknown) {
    super('a chunk could not be written', { cause })
  }
}

export const ours = (error: unknown): never => {
  throw new OwnFailure(error)
}
