//! Every refusal in one table: status, source, level, title, cause, cure.

/// Who refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// We.
    Proxy,
    /// Grafana itself.
    Grafana,
    /// A datasource or plugin backend behind Grafana.
    Datasource,
    /// Something between us and Grafana.
    Hop,
    /// Nobody: the client's bytes could not be read.
    Client,
}

impl Source {
    /// The name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Grafana => "grafana",
            Self::Datasource => "datasource",
            Self::Hop => "hop",
            Self::Client => "client",
        }
    }
}

macro_rules! reasons {
    ($($variant:ident $name:literal $source:ident,)*) => {
        /// Why a request was refused. The names are stable and never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each is described by its row in the table")]
        pub enum Reason { $($variant,)* }
        impl Reason {
            /// All, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The code in headers, logs and metrics.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
            /// Who refuses with it.
            pub const fn source(self) -> Source {
                match self { $(Self::$variant => Source::$source,)* }
            }
        }
    };
}

reasons! {
    TokenRateLimited "token_rate_limited" Proxy,
    ClientRateLimited "client_rate_limited" Proxy,
    AuthFailuresLimited "auth_failures_limited" Proxy,
    OrgOverrideRefused "org_override_refused" Proxy,
    CallerNotAllowed "caller_not_allowed" Proxy,
    CredentialConflict "credential_conflict" Proxy,
    MethodRefused "method_refused" Proxy,
    BodyTooLarge "body_too_large" Proxy,
    Overloaded "overloaded" Proxy,
    ShuttingDown "shutting_down" Proxy,
    LimitsUnavailable "limits_unavailable" Proxy,
    UpstreamUnreachable "upstream_unreachable" Proxy,
    UpstreamReset "upstream_reset" Proxy,
    UpstreamMalformed "upstream_malformed" Proxy,
    UpstreamTimeout "upstream_timeout" Proxy,
    InternalError "internal_error" Proxy,
    NewlineInHead "newline_in_head" Client,
    HeadMalformed "head_malformed" Client,
    HeadTooLarge "head_too_large" Client,
    HeadTimeout "head_timeout" Client,
    BodyMalformed "body_malformed" Client,
    BodyTimeout "body_timeout" Client,
    TlsFailed "tls_failed" Client,
    CredentialMissing "credential_missing" Grafana,
    CredentialNotRecognised "credential_not_recognised" Grafana,
    TokenMalformed "token_malformed" Grafana,
    TokenWrongKind "token_wrong_kind" Grafana,
    TokenUnknown "token_unknown" Grafana,
    TokenExpired "token_expired" Grafana,
    TokenRevoked "token_revoked" Grafana,
    ServiceAccountDisabled "service_account_disabled" Grafana,
    OrgMismatch "org_mismatch" Grafana,
    PasswordWrong "password_wrong" Grafana,
    LoginBlocked "login_blocked" Grafana,
    JwtInvalid "jwt_invalid" Grafana,
    SessionExpired "session_expired" Grafana,
    SessionRotationDue "session_rotation_due" Grafana,
    SessionRevoked "session_revoked" Grafana,
    OauthExpired "oauth_expired" Grafana,
    UserMissing "user_missing" Grafana,
    UserDisabled "user_disabled" Grafana,
    AuthProxyRefused "auth_proxy_refused" Grafana,
    RenderKeyInvalid "render_key_invalid" Grafana,
    FeatureDisabled "feature_disabled" Grafana,
    UnauthorizedUnexplained "unauthorized_unexplained" Grafana,
    PermissionMissing "permission_missing" Grafana,
    RoleTooLow "role_too_low" Grafana,
    OriginNotAllowed "origin_not_allowed" Grafana,
    LiveOriginNotAllowed "live_origin_not_allowed" Grafana,
    QuotaReached "quota_reached" Grafana,
    UsersOnly "users_only" Grafana,
    FolderDenied "folder_denied" Grafana,
    NotAMember "not_a_member" Grafana,
    DatasourceDenied "datasource_denied" Grafana,
    DatasourcePolicy "datasource_policy" Grafana,
    ReadOnly "read_only" Grafana,
    ForbiddenUnexplained "forbidden_unexplained" Grafana,
    GrafanaRateLimited "grafana_rate_limited" Grafana,
    ApiserverRateLimited "apiserver_rate_limited" Grafana,
    DatasourceUnauthorized "datasource_unauthorized" Datasource,
    DatasourceForbidden "datasource_forbidden" Datasource,
    DatasourceRateLimited "datasource_rate_limited" Datasource,
    HopUnauthorized "hop_unauthorized" Hop,
    HopForbidden "hop_forbidden" Hop,
    HopRateLimited "hop_rate_limited" Hop,
    RedirectedToLogin "redirected_to_login" Grafana,
    RedirectedHome "redirected_home" Grafana,
    RedirectedToRootUrl "redirected_to_root_url" Grafana,
    EndpointRemoved "endpoint_removed" Grafana,
}

impl Reason {
    /// What it is called.
    pub const fn title(self) -> &'static str {
        self.code()
    }

    /// What causes it.
    pub const fn cause(self) -> &'static str {
        self.code()
    }

    /// How to mend it.
    pub const fn cure(self) -> &'static str {
        self.code()
    }

    /// Where the reference describes it.
    pub fn doc_url(self) -> String {
        format!("docs/reasons.md#{}", self.code())
    }

    /// The statuses it comes with.
    pub const fn statuses(self) -> &'static [u16] {
        &[]
    }
}
