// Go's net/http with the usual middleware: net_http ADDRESS; log lines go to standard error.
//
// Request id, access log, recovery, Prometheus metrics, and a deadline on the request's context, which is cheaper than
// http.TimeoutHandler. No router: one path is asked for.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

type greeting struct {
	Id      string `json:"id"`
	Message string `json:"message"`
	Number  int    `json:"number"`
}

type idKey struct{}

func hello(writer http.ResponseWriter, request *http.Request) {
	id := strings.TrimPrefix(request.URL.Path, "/hello/")
	body, err := json.Marshal(greeting{id, "Hello, " + id + "!", 42})
	if err != nil {
		http.Error(writer, err.Error(), http.StatusInternalServerError)
		return
	}
	writer.Header().Set("Content-Type", "application/json")
	writer.Write(body)
}

func identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		id := request.Header.Get("X-Request-Id")
		if id == "" {
			id = uuid.NewString()
		}
		writer.Header().Set("X-Request-Id", id)
		next.ServeHTTP(writer, request.WithContext(context.WithValue(request.Context(), idKey{}, id)))
	})
}

type recorder struct {
	http.ResponseWriter
	status int
}

func (recorder *recorder) WriteHeader(status int) {
	recorder.status = status
	recorder.ResponseWriter.WriteHeader(status)
}

func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		begun := time.Now()
		recorder := recorder{writer, http.StatusOK}
		next.ServeHTTP(&recorder, request)
		elapsed := float64(time.Since(begun).Microseconds()) / 1000
		line := make([]byte, 0, 512)
		line = append(line, `{"timestamp":"`...)
		line = begun.UTC().AppendFormat(line, "2006-01-02T15:04:05.000000Z")
		line = append(line, `","level":"INFO","message":"request completed","request_id":`...)
		line = strconv.AppendQuote(line, request.Context().Value(idKey{}).(string))
		line = append(line, `,"method":`...)
		line = strconv.AppendQuote(line, request.Method)
		line = append(line, `,"path":`...)
		line = strconv.AppendQuote(line, request.URL.Path)
		line = append(line, `,"status":`...)
		line = strconv.AppendInt(line, int64(recorder.status), 10)
		line = append(line, `,"duration_ms":`...)
		line = strconv.AppendFloat(line, elapsed, 'f', 3, 64)
		line = append(line, `,"remote_addr":`...)
		line = strconv.AppendQuote(line, request.RemoteAddr)
		line = append(line, "}\n"...)
		os.Stderr.Write(line)
	})
}

func recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		defer func() {
			if reason := recover(); reason != nil {
				log.Print(reason)
				http.Error(writer, "internal error", http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(writer, request)
	})
}

func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		bounded, cancel := context.WithTimeout(request.Context(), 30*time.Second)
		defer cancel()
		next.ServeHTTP(writer, request.WithContext(bounded))
	})
}

func main() {
	requests := prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: "http_requests_total", Help: "Requests answered."}, []string{"method", "code"})
	durations := prometheus.NewHistogramVec(
		prometheus.HistogramOpts{Name: "http_request_duration_seconds", Help: "Time."}, []string{"method", "code"})
	prometheus.MustRegister(requests, durations)
	measured := promhttp.InstrumentHandlerCounter(requests,
		promhttp.InstrumentHandlerDuration(durations, recovered(bounded(http.HandlerFunc(hello)))))
	server := http.Server{Addr: os.Args[1], Handler: identified(logged(measured)), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}
