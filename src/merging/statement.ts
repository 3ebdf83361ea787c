/** What a merge came to, as the statement of its receipt: a pure function of the merge, the same wherever it was run. */
import { printDecimal } from '../core/decimal.ts'
import type { TensorRoot } from '../core/ids.ts'
import { at, invariant } from '../core/invariant.ts'
import { NUMERIC_PROFILE } from '../core/numeric-profile.ts'
import type { Statement } from '../core/receipt.ts'
import type { Resolved } from '../recipes/resolve.ts'
import { contentRootOf } from '../tensors/manifest.ts'
import { sortByUtf8 } from '../tensors/names.ts'
import { tensorBytesOf } from '../tensors/safetensors.ts'
import type { TensorOutcome } from './task.ts'

export interface StatementRequest {
  readonly resolved: Resolved
  readonly outcomes: readonly TensorOutcome[]
  /** Of the files beside the weights that follow from the merge: path and SHA-256. */
  readonly files: readonly (readonly [path: string, sha256: string])[]
}

export function statementOf({ resolved, outcomes, files }: StatementRequest): Statement {
  const { alignment, inputs, base, recipe, recipeId, merge, seed } = resolved
  invariant(alignment, 'a finished merge had all headers')
  const byName = new Map(outcomes.map((outcome) => [outcome.name, outcome]))
  const tensors = alignment.tensors.map(({ name, dtype, shape }) => {
    const outcome = byName.get(name)
    invariant(outcome, `${name} has an outcome`)
    return { name, dtype, shape, bytes: tensorBytesOf({ name, dtype, shape }), root: outcome.root as TensorRoot }
  })
  return {
    v: 1,
    merge,
    inputs: inputs.map(({ record }) => record),
    ...(base && { base: base.content }),
    recipe,
    recipe_id: recipeId,
    numeric_profile: NUMERIC_PROFILE,
    versions: versionsOf(resolved),
    seed,
    scalars: sortByUtf8(
      outcomes.filter(({ scalars }) => scalars.length > 0),
      ({ name }) => name,
    ).map(({ name, scalars }) => [name, scalars.map(printDecimal)]),
    output: { content: contentRootOf(tensors), tensors, files: sortByUtf8(files, ([path]) => path) },
  }
}

/** Strategies that some tensor met. */
function versionsOf({ alignment, paramsFor }: Resolved): Statement['versions'] {
  const versions = new Map<string, number>()
  for (const { name, rule } of alignment?.tensors ?? []) {
    if (rule.kind === 'copy') continue
    const { strategy, version } = paramsFor(name)
    versions.set(strategy, version)
  }
  return [...versions].sort((a, b) => (at(a, 0) < at(b, 0) ? -1 : 1))
}
