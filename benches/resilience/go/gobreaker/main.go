// A call through a closed breaker of gobreaker: nanoseconds by threads, {"1":…,"2":…}, medians of fifteen rounds.
package main

import (
	"fmt"
	"runtime"
	"sort"
	"sync"
	"time"

	"github.com/sony/gobreaker"
)

const (
	rounds = 15
	calls  = 400_000
)

func measured(breaker *gobreaker.CircuitBreaker, threads int) float64 {
	var begin, done sync.WaitGroup
	begin.Add(1)
	nanos := make([]float64, threads)
	for thread := range nanos {
		done.Add(1)
		go func(thread int) {
			defer done.Done()
			runtime.LockOSThread()
			begin.Wait()
			begun := time.Now()
			for call := 0; call < calls; call++ {
				breaker.Execute(func() (interface{}, error) { return nil, nil })
			}
			nanos[thread] = float64(time.Since(begun).Nanoseconds()) / calls
		}(thread)
	}
	begin.Done()
	done.Wait()
	sum := 0.0
	for _, each := range nanos {
		sum += each
	}
	return sum / float64(threads)
}

func median(breaker *gobreaker.CircuitBreaker, threads int) float64 {
	measured(breaker, threads)
	all := make([]float64, rounds)
	for round := range all {
		all[round] = measured(breaker, threads)
	}
	sort.Float64s(all)
	return all[rounds/2]
}

func main() {
	breaker := gobreaker.NewCircuitBreaker(gobreaker.Settings{Name: "bench"})
	fmt.Printf("{\"1\":%.1f,\"2\":%.1f}\n", median(breaker, 1), median(breaker, 2))
}
