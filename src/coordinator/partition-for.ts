/** Which partition of its coordinator's topic a group or transactional id belongs to: Java's string hash, without its sign. */
export function partitionFor(key: string, partitionCount: number): number {
  let hash = 0
  for (let i = 0; i < key.length; i++) hash = (Math.imul(hash, 31) + key.charCodeAt(i)) | 0
  // Kafka's own abs: that of the least int is 0, not itself.
  return hash === -2147483648 ? 0 : Math.abs(hash) % partitionCount
}
