/** Which of a leader's fetchers has a partition: the same one as in a broker of Kafka's with as many. */

/** Java's String.hashCode. */
export function javaHash(text: string): number {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
  return hash
}

/** `fetchers`: num.replica.fetchers. */
export function fetcherIdOf(topic: string, partition: number, fetchers: number): number {
  const hash = (Math.imul(31, javaHash(topic)) + partition) | 0
  // Kafka's Utils.abs: the smallest int32 has no opposite.
  return hash === -0x80000000 ? 0 : Math.abs(hash) % fetchers
}
