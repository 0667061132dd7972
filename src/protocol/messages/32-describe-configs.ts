import { api, array, bool, int8, int16, int32, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const describeConfigsApi = api({
  key: 32,
  name: 'DescribeConfigs',
  versions: [0, 4],
  flexibleFrom: 4,
  request: {
    resources: array({
      resourceType: int8,
      resourceName: string,
      configurationKeys: array(string).nullable(),
    }),
    includeSynonyms: bool.from(1).default(false),
    includeDocumentation: bool.from(3).default(false),
  },
  response: {
    throttleTimeMs: int32.default(0),
    results: array({
      errorCode: int16,
      errorMessage: string.nullable(),
      resourceType: int8,
      resourceName: string,
      configs: array({
        name: string,
        value: string.nullable(),
        readOnly: bool,
        isDefault: bool.until(0),
        configSource: int8.from(1).default(-1),
        isSensitive: bool,
        synonyms: array({ name: string, value: string.nullable(), source: int8 }).from(1),
        configType: int8.from(3).default(0),
        documentation: string.nullable().from(3),
      }),
    }),
  },
})

export type DescribeConfigsRequest = RequestOf<typeof describeConfigsApi>
export type DescribeConfigsResponse = ResponseOf<typeof describeConfigsApi>
