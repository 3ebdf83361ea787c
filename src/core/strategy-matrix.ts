/**
 * The matrix shape: strategies over whole 2-D tensors (factorisations, solves). A matrix is resident, so its operations run
 * at once and ranks are numbers that a formula may branch on. What is not a matrix takes the formula `elsewhere`.
 */
import type { Static, TObject } from 'typebox'
import type { Description, Needs, Plane, SumContext } from './strategy-planes.ts'

export interface Matrix {
  readonly rows: number
  readonly columns: number
  plus(other: Matrix): Matrix
  minus(other: Matrix): Matrix
  times(factor: number): Matrix
  multiply(other: Matrix): Matrix
  transposed(): Matrix
  scaleColumns(by: readonly number[]): Matrix
  takeColumns(count: number): Matrix
  /** Thin, values descending; the largest entry of each left vector is positive. */
  svd(): { readonly left: Matrix; readonly values: readonly number[]; readonly right: Matrix }
  /** The nearest matrix with orthonormal columns, or rows where it is wide. */
  polar(): Matrix
}

/** One contribution's matrix, weight and parameters. */
export interface OwnMatrix<O> {
  readonly value: Matrix
  /** Rounded to f32. */
  readonly weight: number
  readonly params: O
}

export interface MatrixContext<N extends Needs, O> {
  readonly base: N['base'] extends 'required' ? Matrix : undefined
  /** In canonical order, or the recipe's where the strategy follows one. */
  readonly contributions: readonly OwnMatrix<O>[]
  /** Exact Σ. A formula that uses the contributions in no other way is incremental. */
  readonly sum: (of: (own: OwnMatrix<O>) => Matrix) => Matrix
  readonly besideEachOther: (matrices: readonly Matrix[]) => Matrix
}

export interface MatrixStrategy<
  P extends TObject = TObject,
  O extends TObject = TObject,
  N extends Needs = Needs,
> extends Description<P, O, N> {
  readonly shape: 'matrix'
  /** f64 elements alive at once, inputs included: what a plan shows and an engine enforces. */
  readonly workspace: (rows: number, columns: number, count: number) => number
  readonly merge: (context: MatrixContext<N, Static<O>>, params: Static<P>) => Matrix
  /** For tensors that are no matrices. */
  readonly elsewhere: (context: SumContext<N, Static<O>>, params: Static<P>) => Plane
}

// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- no property is declared
type Nothing = TObject<{}>

/** The formula holds whole matrices. */
export const defineMatrix = <P extends TObject, const N extends Needs, O extends TObject = Nothing>(
  it: Omit<MatrixStrategy<P, O, N>, 'shape'>,
): MatrixStrategy<P, O, N> => ({ shape: 'matrix', ...it })
