/** Turns whatever was thrown into an error of the vocabulary. What is not known is INTERNAL, and its words stay inside. */
import { ServiceError, WorkflowNotFoundError } from '@temporalio/client';
import { GraphQLError } from 'graphql';
import {
  MongoClientClosedError,
  MongoError,
  MongoNetworkError,
  MongoNotConnectedError,
  MongoOperationTimeoutError,
  MongoServerError,
  MongoServerSelectionError,
  MongoTopologyClosedError,
  MongoWriteConcernError,
} from 'mongodb';
import { TrailError } from '../trail/errors.ts';
import { ApiError, isApiErrorCode, notFound } from './errors.ts';

const mongoAway = [
  MongoClientClosedError,
  MongoNetworkError,
  MongoNotConnectedError,
  MongoOperationTimeoutError,
  MongoServerSelectionError,
  MongoTopologyClosedError,
  MongoWriteConcernError,
] as const;

/** Server errors that end by themselves: elections, shutdowns, interruptions (MongoDB's "retryable errors"). */
const mongoPassing: ReadonlySet<unknown> = new Set([
  6, 7, 89, 91, 134, 189, 262, 9001, 10_107, 11_600, 11_602, 13_435, 13_436,
]);

export const toApiError = (error: unknown): ApiError => {
  if (error instanceof ApiError) return error;
  if (error instanceof TrailError) return new ApiError(error.code, error.message, { cause: error });
  if (error instanceof MongoError && isAway(error))
    return new ApiError('TRAIL_UNAVAILABLE', 'the database can not be reached now; try again with the same ids', {
      cause: error,
    });
  if (error instanceof WorkflowNotFoundError) return notFound('run or action');
  if (error instanceof ServiceError)
    return new ApiError('WORKFLOWS_UNAVAILABLE', 'Temporal can not be reached now; try again with the same ids', {
      cause: error,
    });
  if (error instanceof GraphQLError) return fromGraphQL(error);
  // Coded errors of other floors: their codes are of the same vocabulary, their messages made to be shown.
  if (error instanceof Error && 'code' in error && isApiErrorCode(error.code) && error.code !== 'INTERNAL')
    return new ApiError(error.code, error.message, { cause: error });
  return new ApiError('INTERNAL', 'a defect of the server; its operator finds it in the log by the request id', {
    cause: error,
  });
};

const isAway = (error: MongoError): boolean =>
  mongoAway.some((type) => error instanceof type) ||
  (error instanceof MongoServerError && mongoPassing.has(error.code)) ||
  error.hasErrorLabel('RetryableWriteError') ||
  error.hasErrorLabel('SystemOverloadedError');

/** Syntax, validation and coercion errors are the client's; what a resolver threw is behind `originalError`. */
const fromGraphQL = (error: GraphQLError): ApiError => {
  if (error.originalError && !(error.originalError instanceof GraphQLError)) return toApiError(error.originalError);
  if (error.originalError) return fromGraphQL(error.originalError);
  const code = error.extensions['code'];
  return new ApiError(isApiErrorCode(code) ? code : 'BAD_INPUT', error.message, { cause: error });
};

/** As it leaves in a GraphQL answer: coded, with the HTTP status, without stack or cause. */
export const toGraphQLError = (error: unknown): GraphQLError => {
  const { code, retryable, status, message } = toApiError(error);
  const place = error instanceof GraphQLError ? error : undefined;
  const http = place?.extensions['http'];
  return new GraphQLError(message, {
    nodes: place?.nodes,
    source: place?.source,
    positions: place?.positions,
    path: place?.path,
    extensions: {
      code,
      retryable,
      http: {
        status: code === 'BAD_INPUT' ? (http?.status ?? status) : status,
        headers: { ...http?.headers, ...(retryable && { 'Retry-After': '1' }) },
      },
    },
  });
};
