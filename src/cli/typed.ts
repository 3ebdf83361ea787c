/** What was typed as an argument or option and is not what it should be: a mistake of the command line, told as one. */
import { isTributaryError, TributaryError } from '../core/errors.ts'

/** What `parse` makes of it, or USAGE in its words. */
export function typed<T>(parse: () => T, hint?: string): T {
  try {
    return parse()
  } catch (error) {
    if (!isTributaryError(error)) throw error
    const advice = hint ?? error.hint
    throw new TributaryError('USAGE', error.message, {
      details: error.details,
      cause: error,
      ...(advice !== undefined && { hint: advice }),
    })
  }
}
