/**
 * How calls to Temporal are tried again. The SDK's own interceptor starts a retry from a timer; after the connection was
 * closed, gRPC throws there, outside of every call, and takes the process with it. Here such a retry fails its call instead.
 */
import {
  InterceptingCall,
  Metadata,
  status,
  type Interceptor,
  type InterceptingListener,
  type StatusObject,
} from '@grpc/grpc-js';
import { defaultGrpcRetryOptions, makeGrpcRetryInterceptor } from '@temporalio/client';

/** As gRPC throws it from where a call is made (Channel.createCall). */
const closedMessage = 'Channel has been shut down';

const closed: StatusObject = { code: status.CANCELLED, details: closedMessage, metadata: new Metadata() };

/** A call that has failed before it began. */
const failed = (): InterceptingCall => {
  const call = {
    start: (_metadata: Metadata, listener?: Partial<InterceptingListener>) => {
      // After `start` has returned, as from the network.
      setImmediate(() => {
        listener?.onReceiveMessage?.(null);
        listener?.onReceiveStatus?.(closed);
      });
    },
    sendMessageWithContext: () => undefined,
    sendMessage: () => undefined,
    startRead: () => undefined,
    halfClose: () => undefined,
    cancelWithStatus: () => undefined,
    getPeer: () => 'closed',
    getAuthContext: () => null,
  };
  return new InterceptingCall(call);
};

/** Inner to the retries: sees each try. */
const whileOpen: Interceptor = (options, nextCall) => {
  try {
    return new InterceptingCall(nextCall(options));
  } catch (error) {
    if (error instanceof Error && error.message === closedMessage) return failed();
    throw error;
  }
};

export const callInterceptors: Interceptor[] = [makeGrpcRetryInterceptor(defaultGrpcRetryOptions()), whileOpen];
