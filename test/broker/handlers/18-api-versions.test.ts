import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { apiByKey } from '../../../src/protocol/messages/index.ts'
import { apiVersionsApi } from '../../../src/protocol/messages/18-api-versions.ts'
import { useBroker } from '../use-broker.ts'

const broker = useBroker()

const asked = { clientSoftwareName: 'a-client', clientSoftwareVersion: '1.0' }

test.each([0, 1, 2, 3, 4])(
  'version %i tells every API that is served, with its versions',
  async (version) => {
    const reply = await broker.client.request(apiVersionsApi, version, version < 3 ? {} : asked)
    expect(reply.errorCode).toBe(ErrorCode.NONE)
    const told = new Map(
      reply.apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion]]),
    )
    expect([...told.keys()].sort((a, b) => a - b)).toEqual([...apiByKey.keys()].sort((a, b) => a - b))
    for (const api of apiByKey.values()) expect(told.get(api.key)).toEqual(api.versions)
  },
)

test('transaction.version 2 is offered; its range is told to those who can read one that begins at 0', async () => {
  const finalizedFeatures = [{ name: 'transaction.version', maxVersionLevel: 2, minVersionLevel: 2 }]
  const offered = { finalizedFeaturesEpoch: 0, finalizedFeatures }
  expect(await broker.client.request(apiVersionsApi, 3, asked)).toMatchObject({
    supportedFeatures: [],
    ...offered,
  })
  expect(await broker.client.request(apiVersionsApi, 4, asked)).toMatchObject({
    supportedFeatures: [{ name: 'transaction.version', minVersion: 0, maxVersion: 2 }],
    ...offered,
  })
})

describe('a broker that is told to stay on transaction.version 0', () => {
  const old = useBroker({ 'odradek.transaction.version': '0' })

  test('has no features, in an epoch above that of any that was offered', async () => {
    const reply = await old.client.request(apiVersionsApi, 4, asked)
    expect(reply).toMatchObject({ supportedFeatures: [], finalizedFeatures: [], finalizedFeaturesEpoch: 1 })
  })
})

test.each(['', 'a b', '-a', 'a-', 'ä'])('the software name "%s" is refused', async (clientSoftwareName) => {
  const reply = await broker.client.request(apiVersionsApi, 3, { ...asked, clientSoftwareName })
  expect(reply).toMatchObject({ errorCode: ErrorCode.INVALID_REQUEST, apiKeys: [] })
})
