/** The response travels behind header version 0 at every version (KIP-511), see frame.ts. */
import { api, array, bool, int16, int32, int64, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const apiVersionsApi = api({
  key: 18,
  name: 'ApiVersions',
  versions: [0, 4],
  flexibleFrom: 3,
  request: {
    clientSoftwareName: string.from(3),
    clientSoftwareVersion: string.from(3),
  },
  response: {
    errorCode: int16,
    apiKeys: array({ apiKey: int16, minVersion: int16, maxVersion: int16 }),
    throttleTimeMs: int32.from(1).default(0),
    supportedFeatures: array({ name: string, minVersion: int16, maxVersion: int16 }).tagged(0, 3),
    finalizedFeaturesEpoch: int64.default(-1).tagged(1, 3),
    finalizedFeatures: array({ name: string, maxVersionLevel: int16, minVersionLevel: int16 }).tagged(2, 3),
    zkMigrationReady: bool.default(false).tagged(3, 3),
  },
})

export type ApiVersionsRequest = RequestOf<typeof apiVersionsApi>
export type ApiVersionsResponse = ResponseOf<typeof apiVersionsApi>
