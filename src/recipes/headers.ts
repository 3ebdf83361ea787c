/** Models whose headers a merge needs, or can do without for now. */
import { TributaryError } from '../core/errors.ts'
import type { ContentRoot } from '../core/ids.ts'
import type { Headers } from './candidate.ts'

export interface BaseModel {
  readonly ref: string
  readonly content: ContentRoot
  readonly headers?: Headers
}

type Headed<T> = T & { readonly headers: Headers }
export const hasHeaders = <T extends { readonly headers?: Headers }>(model: T): model is Headed<T> =>
  model.headers !== undefined

/** Headers are needed before ids where the ids depend on them. */
export function needHeaders(
  models: readonly {
    readonly ref: string
    readonly model?: string
    readonly content: string
    readonly headers?: Headers
  }[],
  why: string,
): void {
  const lacking = models.filter((model) => !hasHeaders(model))
  if (lacking.length === 0) return
  throw new TributaryError(
    'MANIFEST_MISSING',
    `${why} needs the manifests of ${lacking.map(({ ref }) => ref).join(', ')}, which have not arrived`,
    {
      details: { models: lacking.map(({ model, content }) => model ?? content) },
      hint: 'ask again once they have, or upload them here',
    },
  )
}
