/**
 * The topics a consumer's subscription names. Version 0 (int16 version, int32 count, strings) is the prefix of all
 * later versions of the consumer protocol, so nothing more is read. null when the bytes do not comply.
 */
export function subscribedTopicsOf(metadata: Buffer): string[] | null {
  if (metadata.length < 6 || metadata.readInt16BE(0) < 0) return null
  const count = metadata.readInt32BE(2)
  if (count < 0) return null
  const topics: string[] = []
  let position = 6
  for (let i = 0; i < count; i++) {
    if (position + 2 > metadata.length) return null
    const length = metadata.readInt16BE(position)
    position += 2
    if (length < 0 || position + length > metadata.length) return null
    topics.push(metadata.toString('utf8', position, position + length))
    position += length
  }
  return topics
}
