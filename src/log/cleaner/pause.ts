/**
 * What the generators of a cleaning give: nothing, where they may stop for other work, or something to wait for. Whoever
 * drives them decides when they go on, and may end them at any of these points with `return`.
 */
export type Pause = Promise<unknown> | void
