package kinesis

import (
	"context"
	"errors"

	"freshet/stream"
)

// The types of iterators and starting positions.
const (
	atSequenceNumber    = "AT_SEQUENCE_NUMBER"
	afterSequenceNumber = "AFTER_SEQUENCE_NUMBER"
	atTimestamp         = "AT_TIMESTAMP"
	trimHorizon         = "TRIM_HORIZON"
	latest              = "LATEST"
)

// dryRunPassed is the answer to a request that would have succeeded.
func dryRunPassed() *Error {
	return dryRun("Request would have succeeded, but DryRun flag is set.")
}

func isDryRun(flag *bool) bool { return flag != nil && *flag }

func (s *Service) getShardIterator(_ context.Context, in *GetShardIteratorInput) (*GetShardIteratorOutput, error) {
	st, failed := s.find(in.StreamARN, in.StreamName, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	sh, failed := s.shard(st, *in.ShardId)
	if failed != nil {
		return nil, failed
	}
	at, err := s.seek(st, sh, "GetShardIterator", *in.ShardIteratorType, in.StartingSequenceNumber, in.Timestamp)
	if err != nil {
		return nil, err
	}
	if isDryRun(in.DryRun) {
		return nil, dryRunPassed()
	}
	return &GetShardIteratorOutput{string(s.appendIterator(nil, st, sh, at, s.options.Now()))}, nil
}

// shard finds a shard, open or closed, by its id.
func (s *Service) shard(st *streamState, text string) (*stream.Shard, *Error) {
	id, err := stream.ParseShardID(text)
	if err != nil {
		return nil, resourceNotFound("Could not find shard %s in stream %s under account %s.", text, st.name, s.options.Account)
	}
	if sh, ok := st.stream.Shard(id); ok {
		return sh, nil
	}
	return nil, s.noShard(st, id)
}

func (s *Service) noShard(st *streamState, id stream.ShardID) *Error {
	return resourceNotFound("Shard %s in stream %s under account %s does not exist", id, st.name, s.options.Account)
}

// seek finds the offset of a position of one of the five types. What is past its
// retention begins at the horizon.
func (s *Service) seek(st *streamState, sh *stream.Shard, op, kind string, sequence *string, at *Timestamp) (stream.Offset, error) {
	var p stream.Position
	switch kind {
	case atSequenceNumber, afterSequenceNumber:
		if sequence == nil {
			return 0, invalidArgument("Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified %s and no StartingSequenceNumber.", kind)
		}
		n, failed := s.startingSequence(st, sh, op, *sequence)
		if failed != nil {
			return 0, failed
		}
		p = stream.Position{Kind: stream.AtSequenceNumber, Sequence: n}
		if kind == afterSequenceNumber {
			p.Kind = stream.AfterSequenceNumber
		}
	case atTimestamp:
		if at == nil {
			return 0, invalidArgument("Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.")
		}
		if now := s.options.Now().UnixMilli(); int64(*at) > now {
			return 0, invalidArgument("The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: %d, currentTimestampInMillis: %d", int64(*at), now)
		}
		p = stream.Position{Kind: stream.AtTimestamp, Time: int64(*at)}
	default:
		if sequence != nil {
			return 0, invalidArgument("Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified %s and also a StartingSequenceNumber.", kind)
		}
		if p.Kind = stream.TrimHorizon; kind == latest {
			p.Kind = stream.Latest
		}
	}
	o, err := sh.Seek(p)
	switch {
	case err == nil:
		return o, nil
	case errors.Is(err, stream.ErrTrimmed):
		return sh.Horizon(), nil
	case errors.Is(err, stream.ErrNotYet):
		return 0, s.badSequence(st, sh, op, *sequence, ".")
	}
	return 0, err
}

// startingSequence reads a sequence number of a shard.
func (s *Service) startingSequence(st *streamState, sh *stream.Shard, op, text string) (stream.SequenceNumber, *Error) {
	n, err := stream.ParseSequenceNumber(text)
	switch {
	case err != nil:
		return n, s.badSequence(st, sh, op, text, ".")
	case n.Shard != sh.ID():
		return n, invalidArgument("Invalid StartingSequenceNumber. It encodes %s, while it was used in a call to a shard with %s", n.Shard, sh.ID())
	case n.Created != uint64(sh.Created().Unix()):
		return n, s.badSequence(st, sh, op, text, " because it did not come from this stream.")
	}
	return n, nil
}

func (s *Service) badSequence(st *streamState, sh *stream.Shard, op, text, why string) *Error {
	return invalidArgument("StartingSequenceNumber %s used in %s on shard %s in stream %s under account %s is invalid%s", text, op, sh.ID(), st.name, s.options.Account, why)
}
