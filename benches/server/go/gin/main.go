// Gin with the usual middleware: gin ADDRESS; log lines go to standard error.
//
// Request id, its own logger with a JSON line, its own recovery, Prometheus metrics, a deadline on the request's context.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
)

func identified(context *gin.Context) {
	id := context.GetHeader("X-Request-Id")
	if id == "" {
		id = uuid.NewString()
	}
	context.Set("request_id", id)
	context.Header("X-Request-Id", id)
	context.Next()
}

func line(line gin.LogFormatterParams) string {
	return fmt.Sprintf(`{"timestamp":%q,"level":"INFO","message":"request completed","request_id":%q,"method":%q,`+
		`"path":%q,"status":%d,"duration_ms":%.3f,"remote_addr":%q}`+"\n",
		line.TimeStamp.UTC().Format("2006-01-02T15:04:05.000000Z"), line.Keys["request_id"], line.Method, line.Path,
		line.StatusCode, float64(line.Latency.Microseconds())/1000, line.ClientIP)
}

func measured() gin.HandlerFunc {
	requests := prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: "http_requests_total", Help: "Requests answered."}, []string{"method", "endpoint", "status"})
	durations := prometheus.NewHistogramVec(
		prometheus.HistogramOpts{Name: "http_request_duration_seconds", Help: "Time."}, []string{"method", "endpoint"})
	prometheus.MustRegister(requests, durations)
	return func(context *gin.Context) {
		begun := time.Now()
		context.Next()
		method, endpoint := context.Request.Method, context.FullPath()
		durations.WithLabelValues(method, endpoint).Observe(time.Since(begun).Seconds())
		requests.WithLabelValues(method, endpoint, strconv.Itoa(context.Writer.Status())).Inc()
	}
}

func bounded(call *gin.Context) {
	bounded, cancel := context.WithTimeout(call.Request.Context(), 30*time.Second)
	defer cancel()
	call.Request = call.Request.WithContext(bounded)
	call.Next()
}

func main() {
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.Use(identified, gin.LoggerWithConfig(gin.LoggerConfig{Formatter: line, Output: os.Stderr}), measured(),
		gin.Recovery(), bounded)
	router.GET("/hello/:id", func(context *gin.Context) {
		id := context.Param("id")
		context.JSON(http.StatusOK, struct {
			Id      string `json:"id"`
			Message string `json:"message"`
			Number  int    `json:"number"`
		}{id, "Hello, " + id + "!", 42})
	})
	server := http.Server{Addr: os.Args[1], Handler: router, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}
