/** What a strategy's declaration refuses, checked for every strategy that some tensor may meet, and said of the inputs. */
import { TributaryError, isTributaryError } from '../core/errors.ts'
import { type Given, prepareStrategy } from '../core/prepare.ts'
import { at } from '../core/invariant.ts'
import { needsOf } from './declaration.ts'
import type { ResolvedInput } from './inputs.ts'
import type { StrategyInUse } from './records.ts'

export function checkStrategies(
  inUse: readonly StrategyInUse[],
  inputs: readonly ResolvedInput[],
  hasBase: boolean,
): void {
  for (const { strategy, params, perInput } of inUse) {
    const asked = perInput.map((own, i): { weight: number; params: Given; role?: string } => {
      const { role } = at(inputs, i)
      // a role of another strategy of this recipe is none here
      const plays = role !== undefined && (needsOf(strategy).roles ?? []).includes(role)
      return { ...own, ...(plays && { role }) }
    })
    try {
      prepareStrategy({ strategy, params, inputs: asked, hasBase })
    } catch (error) {
      throw isTributaryError(error) ? nameInput(error, inputs) : error
    }
  }
}

/** A pointer into {params, inputs} leads nowhere in a recipe: say the input instead. */
function nameInput(error: TributaryError, inputs: readonly ResolvedInput[]): TributaryError {
  const { code, message, details, hint, pointer = '' } = error
  const index = /^\/inputs\/([0-9]+)/.exec(pointer)?.[1]
  const ref = index === undefined ? undefined : inputs[Number(index)]?.candidate.ref
  return new TributaryError(code, ref === undefined ? message : `${ref}: ${message}`, {
    details: ref === undefined ? details : { ...details, input: ref },
    pointer: ref === undefined ? '/strategy' : '/weights',
    cause: error,
    ...(hint !== undefined && { hint }),
  })
}
