/** Refuses documents that are too long, deep, wide or costly before anything of them is carried out. */
import { maxAliasesRule } from '@escape.tech/graphql-armor-max-aliases';
import { maxDepthRule } from '@escape.tech/graphql-armor-max-depth';
import { GraphQLError, NoSchemaIntrospectionCustomRule, parse, type ParseOptions, type Source } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { ApiErrorCode } from '../errors.ts';
import { costRule } from './cost.ts';
import type { ApiLimits } from './limits.ts';

/** Lists without a page size in our schema are short but for the rows of a timeline. */
const listLength = 4;

const reject = (code: ApiErrorCode, message: string) => () => {
  throw new GraphQLError(message, { extensions: { code } });
};

export const documentLimits = (limits: ApiLimits, introspection: boolean): Plugin => ({
  onParse({ setParseFn }) {
    setParseFn((source: string | Source, options?: ParseOptions) => {
      try {
        return parse(source, { ...options, maxTokens: limits.tokensMax });
      } catch (error) {
        // graphql-js says it in words only.
        if (!(error instanceof GraphQLError) || !/more than \d+ tokens/.test(error.message)) throw error;
        throw new GraphQLError(`the query has more than ${limits.tokensMax} tokens; put values into variables`, {
          extensions: { code: 'TOO_MANY_TOKENS' },
        });
      }
    });
  },
  onValidate({ addValidationRule }) {
    addValidationRule(
      maxDepthRule({
        n: limits.depthMax,
        flattenFragments: true,
        onReject: [reject('QUERY_TOO_DEEP', `the query is deeper than ${limits.depthMax} levels`)],
      }),
    );
    addValidationRule(
      maxAliasesRule({
        n: limits.aliasesMax,
        onReject: [reject('TOO_MANY_ALIASES', `the query has more than ${limits.aliasesMax} aliases`)],
      }),
    );
    addValidationRule(costRule({ costMax: limits.costMax, pageSizeMax: limits.pageSizeMax, listLength }));
    if (!introspection) addValidationRule(NoSchemaIntrospectionCustomRule);
  },
});
