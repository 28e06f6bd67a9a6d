//go:build !unix

package point_test

func cpuTime() int64 { return 0 }
