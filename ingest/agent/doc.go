// Package agent tells how this machine is doing: once a second it reads the
// operating system's counters and sends them as points.
//
// # Who calls it
//
// `freshet demo` runs a Collector and gives it an SDK producer as its sink.
//
// # Metrics
//
// All carry the label host. Those marked † are read every ten seconds.
//
//	host.cpu.usage            gauge, %        mode=user|system|iowait|steal|nice|irq; of all processors, idle is what is left to 100
//	host.load1, 5, 15         gauge
//	host.memory.bytes         gauge           state=used|cached|buffers|free; together all memory
//	host.memory.used_percent  gauge, %        what is not available to programs
//	host.swap.used_percent    gauge, %        only where there is swap
//	host.disk.io              cumulative, B   device, direction=read|write; whole disks
//	host.disk.used_percent    gauge, %        mount †
//	host.network.io           cumulative, B   interface, direction=in|out; without loopback, unless there is nothing else
//	host.processes            gauge
//	host.uptime               gauge, s
//
// A counter that the system does not give is left out; why is logged once.
//
// # After a crash
//
// Nothing is kept. Cumulative metrics are the system's own totals, so that a
// pause loses no bytes, only detail.
//
// # Concurrency
//
// A Collector belongs to one goroutine; Run is that goroutine and starts no
// other.
package agent
