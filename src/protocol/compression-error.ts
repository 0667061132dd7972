/**
 * Why compressed bytes could not be read or made. Hostile bytes are an expected outcome: whoever calls a codec on bytes
 * from outside catches this one class and turns it into a Kafka error.
 * - `corrupt`: not a stream of that codec, damaged or cut short
 * - `too-large`: the output would pass the caller's limit
 * - `unavailable`: no such codec, or no native code for it on this machine (UNSUPPORTED_COMPRESSION_TYPE)
 */
export class CompressionError extends Error {
  readonly kind: 'corrupt' | 'too-large' | 'unavailable'

  constructor(kind: 'corrupt' | 'too-large' | 'unavailable', message: string) {
    super(message)
    this.name = 'CompressionError'
    this.kind = kind
  }
}

export const corrupt = (message: string): CompressionError => new CompressionError('corrupt', message)

export const tooLarge = (maxOutputBytes: number): CompressionError =>
  new CompressionError('too-large', `the data decompresses to more than ${maxOutputBytes} bytes`)
