// Echo with the usual middleware: echo ADDRESS; log lines go to standard error.
//
// Its own request id, logger and recovery, Prometheus metrics, a deadline on the request's context.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/labstack/echo"
	"github.com/labstack/echo/middleware"
	"github.com/prometheus/client_golang/prometheus"
)

func measured() echo.MiddlewareFunc {
	requests := prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: "http_requests_total", Help: "Requests answered."}, []string{"method", "endpoint", "status"})
	durations := prometheus.NewHistogramVec(
		prometheus.HistogramOpts{Name: "http_request_duration_seconds", Help: "Time."}, []string{"method", "endpoint"})
	prometheus.MustRegister(requests, durations)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(context echo.Context) error {
			begun := time.Now()
			err := next(context)
			method, endpoint := context.Request().Method, context.Path()
			durations.WithLabelValues(method, endpoint).Observe(time.Since(begun).Seconds())
			requests.WithLabelValues(method, endpoint, strconv.Itoa(context.Response().Status)).Inc()
			return err
		}
	}
}

func bounded(next echo.HandlerFunc) echo.HandlerFunc {
	return func(call echo.Context) error {
		bounded, cancel := context.WithTimeout(call.Request().Context(), 30*time.Second)
		defer cancel()
		call.SetRequest(call.Request().WithContext(bounded))
		return next(call)
	}
}

func main() {
	router := echo.New()
	logger := middleware.DefaultLoggerConfig
	logger.Output = os.Stderr
	router.Use(middleware.RequestID(), middleware.LoggerWithConfig(logger), measured(), middleware.Recover(), bounded)
	router.GET("/hello/:id", func(context echo.Context) error {
		id := context.Param("id")
		return context.JSON(http.StatusOK, struct {
			Id      string `json:"id"`
			Message string `json:"message"`
			Number  int    `json:"number"`
		}{id, "Hello, " + id + "!", 42})
	})
	server := http.Server{Addr: os.Args[1], Handler: router, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}
