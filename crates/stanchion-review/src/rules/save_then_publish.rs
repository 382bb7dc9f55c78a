use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "save-then-publish",
    title: "Rows are saved, then a message is published",
    why: "A crash between the two leaves the others not knowing, for ever; the other order tells them what never happened.",
    source: "https://microservices.io/patterns/data/transactional-outbox.html; Martin Kleppmann, Designing Data-Intensive Applications, chapter 11: dual writes",
    mend: "Write the message into an outbox in the same transaction; a relay publishes it.",
    point: Point::Concurrency,
    severity: Severity::High,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, check), Check::File(Language::Go, check)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "async fn place(&self, order: Order) -> Result<(), Error> {\n    self.repository.save(&order).await?;\n    self.bus.publish(order.placed()).await\n}\n",
            good: "async fn place(&self, order: Order) -> Result<(), Error> {\n    let mut work = self.begin().await?;\n    work.save(&order).await?;\n    work.outbox(order.placed()).await?;\n    work.commit().await\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc (s *Service) Place(ctx context.Context, o Order) error {\n\tif err := s.repo.Save(ctx, o); err != nil {\n\t\treturn err\n\t}\n\treturn s.bus.Publish(ctx, o.Placed())\n}\n",
            good: "package a\n\nfunc (s *Service) Place(ctx context.Context, o Order) error {\n\treturn s.repo.SaveWithOutbox(ctx, o, o.Placed())\n}\n",
        },
    ],
};

fn check(source: &Source, found: &mut Found) {
    if source.text.to_ascii_lowercase().contains("outbox") {
        return;
    }
    let stores = ["db", "tx", "repo", "repository", "store", "pool", "orders", "storage"];
    let buses = ["bus", "publisher", "producer", "broker", "nats", "kafka", "amqp", "channel", "js", "jetstream", "event_bus", "events", "dispatcher"];
    for function in functions(source) {
        let here = |call: &Call<'_>| body_of(call.node) == Some(function);
        let saved = calls_in(function).filter(here).find(|call| {
            let commit = ["commit", "Commit"].contains(&call.name);
            let save = ["save", "insert", "create", "update", "execute", "Save", "Insert", "Create", "Update", "ExecContext", "Exec"].contains(&call.name);
            (commit && says(call.receiver_word(), &["tx", "transaction"])) || (save && says(call.receiver_word(), &stores))
        });
        let Some(saved) = saved else { continue };
        let published = calls_in(function).filter(here).find(|call| {
            let publishes = ["publish", "Publish", "PublishWithContext", "PublishMsg", "SendMessage", "produce", "Produce", "basic_publish", "WriteMessages"].contains(&call.name);
            publishes && call.node.start() > saved.node.end() && (says(call.receiver_word(), &buses) || ["PublishWithContext", "SendMessage", "basic_publish", "WriteMessages"].contains(&call.name))
        });
        if let Some(published) = published {
            found.at(published.node);
        }
    }
}
