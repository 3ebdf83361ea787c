/**
 * Lines asked for before they are used, all at once: where work on a line takes as long as its way from memory, one by one
 * each of them would be waited for.
 */
@inline export const PAGE_BYTES: usize = 4096
const touched: usize = memory.data(16)

@inline
export function touch(from: usize, end: usize): void {
  let any = 0
  for (; from < end; from += 64) any |= load<i32>(from)
  store<i32>(touched, any)
}
