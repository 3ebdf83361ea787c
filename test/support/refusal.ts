/** Catches the error that an expected failure throws, so that a test can look at its code and its words. */
import { isTributaryError, type TributaryError } from '../../src/core/errors.ts'

export function refusalOf(act: () => unknown): TributaryError {
  try {
    act()
  } catch (error) {
    if (isTributaryError(error)) return error
    throw error
  }
  throw new Error('this was expected to be refused')
}
