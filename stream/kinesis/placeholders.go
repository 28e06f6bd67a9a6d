package kinesis

import "context"

// Operations that are not written yet.

func (s *Service) putRecord(context.Context, *PutRecordInput) (*PutRecordOutput, error) {
	return nil, internalFailure()
}

func (s *Service) putRecords(context.Context, *PutRecordsInput) (*PutRecordsOutput, error) {
	return nil, internalFailure()
}

func (s *Service) getShardIterator(context.Context, *GetShardIteratorInput) (*GetShardIteratorOutput, error) {
	return nil, internalFailure()
}

func (s *Service) getRecords(context.Context, *GetRecordsInput) (*GetRecordsOutput, error) {
	return nil, internalFailure()
}

func (s *Service) subscribeToShard(context.Context, *SubscribeToShardInput, *eventWriter) error {
	return internalFailure()
}
