/** Which partition of `__consumer_offsets` a group belongs to: Java's string hash, without its sign. */
export function partitionFor(groupId: string, partitionCount: number): number {
  let hash = 0
  for (let i = 0; i < groupId.length; i++) hash = (Math.imul(hash, 31) + groupId.charCodeAt(i)) | 0
  // Kafka's own abs: that of the least int is 0, not itself.
  return hash === -2147483648 ? 0 : Math.abs(hash) % partitionCount
}
