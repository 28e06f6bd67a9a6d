package kinesis

import "golang.org/x/sync/semaphore"

// LimitBodies bounds the bodies in memory at once, before the first request.
func (s *Service) LimitBodies(n int64) { s.bodies = semaphore.NewWeighted(n) }

// BodiesFree says that no body of a request counts as in memory.
func (s *Service) BodiesFree(n int64) bool {
	free := s.bodies.TryAcquire(n)
	if free {
		s.bodies.Release(n)
	}
	return free
}
