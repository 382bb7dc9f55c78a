//! `StreamUsers`: page after page, the next one read when the client has taken the last.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::{Stream, stream};
use shop_contracts::grpc::user::v1 as pb;
use stanchion::server::{Listing, Paging, Problem};
use tonic::Status;

use crate::adapters::http::users::{UserFilters, place_of, wanted};
use crate::adapters::http::views::UserView;
use crate::application::Identity;

/// The users of a listing from where it begins to their end, each with the cursor behind it.
pub(super) fn stream(
    identity: Arc<Identity>,
    listing: Listing<UserFilters>,
) -> impl Stream<Item = Result<pb::StreamUsersResponse, Status>> + Send + 'static {
    let reading = Reading {
        identity,
        listing,
        read: VecDeque::new(),
        more: true,
    };
    stream::try_unfold(reading, |mut reading| async {
        let next = reading.next().await?;
        Ok(next.map(|next| (next, reading)))
    })
}

struct Reading {
    identity: Arc<Identity>,
    listing: Listing<UserFilters>,
    /// Read and not yet taken: a page at most.
    read: VecDeque<pb::StreamUsersResponse>,
    more: bool,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<pb::StreamUsersResponse>, Problem> {
        if self.read.is_empty() && self.more {
            self.read_page().await?;
        }
        Ok(self.read.pop_front())
    }

    async fn read_page(&mut self) -> Result<(), Problem> {
        let mut list = wanted(&self.listing)?;
        list.count = false;
        let page = self.identity.list_users(&list).await?;
        let wanted = self.listing.limit as usize;
        self.more = page.users.len() > wanted;
        let mut last = None;
        for user in page.users.iter().take(wanted) {
            let user = UserView::from(user);
            let place = place_of(&user, list.sort);
            self.read.push_back(pb::StreamUsersResponse {
                cursor: self.listing.cursor_after(&place),
                user: Some(user.into()),
            });
            last = Some(place);
        }
        if let Some(place) = last {
            let place = serde_json::to_value(place).map_err(Problem::internal)?;
            self.listing.paging = Paging::After(place);
        }
        Ok(())
    }
}
