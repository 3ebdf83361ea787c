/** Part of a list: at most `limit` items, after one that was seen. Items added meanwhile neither repeat nor hide others. */
export interface Page<Item> {
  readonly limit: number
  /** The last item of the page before. */
  readonly after?: Item | undefined
}
