//! What a request can ask for: the number on the wire, its name, and the REST route that does the same.

use core::fmt;

use super::wire::digit;

/// The four digits in front of a request. Unknown numbers survive: only [`route`](Self::route) fails for them.
///
/// ```
/// use cloverleaf_core::dfx::Action;
/// assert_eq!(Action::DATA.to_string(), "0506");
/// assert_eq!(Action::DATA.name(), Some("Measurements.Data"));
/// assert_eq!(Action::new(9999).unwrap().name(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Action(u16);

impl Action {
    /// Whether the service is up.
    pub const STATUS: Self = Self(100);
    /// The content types the service knows.
    pub const MIME_TYPES: Self = Self(101);
    /// Whether the token is good.
    pub const VERIFY_TOKEN: Self = Self(107);
    /// Opens a user's session.
    pub const USER_LOGIN: Self = Self(201);
    /// Reads one measurement.
    pub const RETRIEVE: Self = Self(500);
    /// Lists measurements.
    pub const LIST: Self = Self(501);
    /// Starts a measurement.
    pub const CREATE: Self = Self(504);
    /// Adds one chunk to a measurement.
    pub const DATA: Self = Self(506);
    /// Asks for the results of a measurement as they come (WebSocket only).
    pub const SUBSCRIBE_RESULTS: Self = Self(510);
    /// Makes this machine a device of an organisation.
    pub const REGISTER_LICENSE: Self = Self(705);
    /// Opens an organisation's session.
    pub const ORGANIZATION_LOGIN: Self = Self(717);
    /// Names the token of this connection, for clients that cannot set headers.
    pub const LOGIN_WITH_TOKEN: Self = Self(718);
    /// Trades a refresh token for new tokens.
    pub const RENEW_TOKEN: Self = Self(2304);
    /// Gives more tokens to who has some.
    pub const GENERATE_TOKEN: Self = Self(2305);

    /// The action of this number; `None` above 9999, which four digits cannot hold.
    pub const fn new(number: u16) -> Option<Self> {
        match number {
            0..=9999 => Some(Self(number)),
            _ => None,
        }
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The number as four ASCII digits.
    pub const fn digits(self) -> [u8; 4] {
        [digit(self.0 / 1000), digit(self.0 / 100), digit(self.0 / 10), digit(self.0)]
    }

    /// The row of this action, if the service knows it.
    pub fn route(self) -> Option<&'static Route> {
        ROUTES.binary_search_by_key(&self.0, |route| route.number).ok().and_then(|at| ROUTES.get(at))
    }

    /// The name of this action, if the service knows it.
    pub fn name(self) -> Option<&'static str> {
        self.route().map(|route| route.name)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

/// One action and the REST request that does the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Route {
    /// The number on the wire.
    pub number: u16,
    /// `Group.Verb`.
    pub name: &'static str,
    /// The HTTP method; `CONNECT` where only the WebSocket will do.
    pub method: &'static str,
    /// The path; `{}` stands for one argument, which the WebSocket carries in `Params`.
    pub path: &'static str,
}

const fn row(number: u16, name: &'static str, method: &'static str, path: &'static str) -> Route {
    Route { number, name, method, path }
}

/// Every action of the service, by number. Where the service gave one number two names (1300–1302 Exports and
/// Reports; 1901, 2001, 2101 Remove and Retrieve) the row is the second.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    //  id  name                                        method     path
    row( 100, "General.Status",                           "GET",     "/status"),
    row( 101, "General.MimeTypes",                        "GET",     "/mimes"),
    row( 102, "General.Roles",                            "GET",     "/roles"),
    row( 104, "General.Statuses",                         "GET",     "/statuses"),
    row( 107, "General.VerifyToken",                      "GET",     "/auth"),
    row( 108, "General.Regions",                          "GET",     "/regions"),
    row( 109, "General.RetrieveConsent",                  "GET",     "/consents"),
    row( 110, "General.CreateConsent",                    "POST",    "/consents"),
    row( 111, "General.UpdateConsent",                    "PATCH",   "/consents"),
    row( 112, "General.DeleteConsent",                    "DELETE",  "/consents"),
    row( 200, "Users.Create",                             "POST",    "/users"),
    row( 201, "Users.Login",                              "POST",    "/users/auth"),
    row( 202, "Users.Retrieve",                           "GET",     "/users"),
    row( 206, "Users.Remove",                             "DELETE",  "/users"),
    row( 208, "Users.Update",                             "PATCH",   "/users"),
    row( 209, "Users.SendReset",                          "PATCH",   "/users/sendreset"),
    row( 210, "Users.ResetPassword",                      "PATCH",   "/users/reset"),
    row( 211, "Users.GetRole",                            "GET",     "/users/role"),
    row( 212, "Users.Verify",                             "POST",    "/users/verify"),
    row( 213, "Users.VerificationCode",                   "GET",     "/users/verificationCode/{}/{}"),
    row( 214, "Users.SendResetMobile",                    "PATCH",   "/users/sendreset/mobile"),
    row( 215, "Users.Signup",                             "POST",    "/users/signup"),
    row( 216, "Users.RequestLoginCode",                   "GET",     "/users/auth/code/{}/{}"),
    row( 217, "Users.LoginWithCode",                      "POST",    "/users/auth/code"),
    row( 218, "Users.Sso",                                "POST",    "/users/auth/sso"),
    row( 219, "Users.RemoveUserMeasurements",             "DELETE",  "/users/{}/measurements"),
    row( 220, "Users.ChangePassword",                     "POST",    "/users/changepassword"),
    row( 221, "Users.MfaSecret",                          "POST",    "/users/mfa/secret"),
    row( 222, "Users.EnableMfa",                          "POST",    "/users/mfa"),
    row( 223, "Users.DisableMfa",                         "DELETE",  "/users/mfa"),
    row( 224, "Users.DisableMfaForUser",                  "DELETE",  "/users/{}/mfa"),
    row( 225, "Users.RenewToken",                         "POST",    "/users/auth/renew"),
    //  id  name                                        method     path
    row( 226, "Users.Logout",                             "DELETE",  "/users/auth"),
    row( 228, "Users.RecoveryVerificationCode",           "GET",     "/users/recoveryVerificationCode/{}"),
    row( 300, "Meta.Retrieve",                            "GET",     "/meta/{}"),
    row( 301, "Meta.RetrieveByType",                      "GET",     "/meta/{}/{}/{}"),
    row( 302, "Meta.Update",                              "PATCH",   "/meta/{}"),
    row( 303, "Meta.UpdateByType",                        "PATCH",   "/meta/{}/{}/{}"),
    row( 400, "Profiles.Create",                          "POST",    "/users/profiles"),
    row( 401, "Profiles.Retrieve",                        "GET",     "/users/profiles/{}"),
    row( 402, "Profiles.List",                            "GET",     "/users/profiles"),
    row( 403, "Profiles.ListByUser",                      "GET",     "/users/{}/profiles"),
    row( 404, "Profiles.Remove",                          "DELETE",  "/users/profiles/{}"),
    row( 405, "Profiles.Update",                          "PATCH",   "/users/profiles/{}"),
    row( 500, "Measurements.Retrieve",                    "GET",     "/measurements/{}"),
    row( 501, "Measurements.List",                        "GET",     "/measurements"),
    row( 504, "Measurements.Create",                      "POST",    "/measurements"),
    row( 506, "Measurements.Data",                        "POST",    "/measurements/{}/data"),
    row( 507, "Measurements.Remove",                      "DELETE",  "/measurements/{}"),
    row( 510, "Measurements.SubscribeResults",            "CONNECT", "/measurements/{}/results/"),
    row( 512, "Measurements.Reprocess",                   "PATCH",   "/measurements/reprocess"),
    row( 515, "Measurements.AddTags",                     "POST",    "/measurements/{}/tags"),
    row( 517, "Measurements.SaveResults",                 "POST",    "/measurements/{}/results"),
    row( 518, "Measurements.AddSurveyData",               "POST",    "/survey/{}"),
    row( 520, "Measurements.BugReport",                   "POST",    "/measurements/{}/bug-report"),
    row( 521, "Measurements.RetrieveBugReport",           "GET",     "/measurements/{}/bug-report"),
    row( 522, "Measurements.MeasurementEnd",              "POST",    "/measurements/{}/end"),
    row( 600, "Groups.List",                              "GET",     "/groups"),
    row( 601, "Groups.Types",                             "GET",     "/groups/types"),
    row( 602, "Groups.Retrieve",                          "GET",     "/groups/{}"),
    row( 603, "Groups.GetUsers",                          "GET",     "/groups/{}/users"),
    row( 604, "Groups.Create",                            "POST",    "/groups"),
    row( 605, "Groups.AddUsers",                          "POST",    "/groups/{}/users"),
    row( 606, "Groups.Update",                            "PATCH",   "/groups/{}"),
    //  id  name                                        method     path
    row( 607, "Groups.Remove",                            "DELETE",  "/groups/{}"),
    row( 608, "Groups.RemoveUsers",                       "DELETE",  "/groups/{}/users"),
    row( 700, "Organizations.Retrieve",                   "GET",     "/organizations"),
    row( 702, "Organizations.Users",                      "GET",     "/organizations/users"),
    row( 703, "Organizations.ListMeasurements",           "GET",     "/organizations/measurements"),
    row( 704, "Organizations.RetrieveMeasurement",        "GET",     "/organizations/measurements/{}"),
    row( 705, "Organizations.RegisterLicense",            "POST",    "/organizations/licenses"),
    row( 706, "Organizations.UnregisterLicense",          "DELETE",  "/organizations/licenses"),
    row( 708, "Organizations.RetrieveLogo",               "GET",     "/organizations/{}/logo"),
    row( 710, "Organizations.ListProfiles",               "GET",     "/organizations/profiles"),
    row( 711, "Organizations.RetrieveProfile",            "GET",     "/organizations/profiles/{}"),
    row( 712, "Organizations.RetrieveUser",               "GET",     "/organizations/users/{}"),
    row( 713, "Organizations.CreateUser",                 "POST",    "/organizations/users"),
    row( 714, "Organizations.UpdateUser",                 "PATCH",   "/organizations/users/{}"),
    row( 715, "Organizations.RemoveUser",                 "DELETE",  "/organizations/users/{}"),
    row( 716, "Organizations.UpdateProfile",              "PATCH",   "/organizations/profiles/{}"),
    row( 717, "Organizations.Login",                      "POST",    "/organizations/auth"),
    row( 718, "Organizations.LoginWithToken",             "POST",    "/organizations/auth/token"),
    row( 719, "Organizations.ContactUser",                "POST",    "/organizations/users/contact"),
    row( 720, "Organizations.Update",                     "PATCH",   "/organizations"),
    row( 721, "Organizations.RemoveOrgMeasurements",      "DELETE",  "/organizations/{}/measurements"),
    row( 722, "Organizations.RemovePartnerMeasurements",  "DELETE",  "/organizations/{}/partners/{}/measurements"),
    row( 723, "Organizations.GetDefaultPasswordPolicy",   "GET",     "/organizations/policy/password"),
    row( 800, "Studies.Types",                            "GET",     "/studies/types"),
    row( 801, "Studies.RetrieveTemplates",                "GET",     "/studies/templates"),
    row( 803, "Studies.Assets",                           "GET",     "/studies/templates/{}/assets"),
    row( 804, "Studies.Retrieve",                         "GET",     "/studies/{}"),
    row( 805, "Studies.List",                             "GET",     "/studies"),
    row( 806, "Studies.Create",                           "POST",    "/studies"),
    row( 807, "Studies.Update",                           "PATCH",   "/studies/{}"),
    row( 808, "Studies.Remove",                           "DELETE",  "/studies/{}"),
    row( 809, "Studies.GetConfig",                        "POST",    "/studies/sdkconfig"),
    //  id  name                                        method     path
    row( 810, "Studies.GetConfigHash",                    "POST",    "/studies/sdkconfig/hash"),
    row( 811, "Studies.RemoveStudyMeasurements",          "DELETE",  "/studies/{}/measurements"),
    row( 812, "Studies.GetStudySurveys",                  "GET",     "/studies/{}/surveys"),
    row( 813, "Studies.GetSurveySchema",                  "GET",     "/studies/{}/surveys/{}/language/{}"),
    row( 814, "Studies.SubmitSurvey",                     "POST",    "/studies/{}/surveys/{}/language/{}"),
    row( 900, "Devices.Types",                            "GET",     "/devices/types"),
    row( 901, "Devices.Checkin",                          "PATCH",   "/devices/checkin"),
    row( 902, "Devices.Retrieve",                         "GET",     "/devices/{}"),
    row( 903, "Devices.Create",                           "POST",    "/devices"),
    row( 904, "Devices.Update",                           "PATCH",   "/devices/{}"),
    row( 905, "Devices.Remove",                           "DELETE",  "/devices/{}"),
    row( 906, "Devices.List",                             "GET",     "/devices"),
    row( 907, "Devices.RemoveDeviceMeasurements",         "DELETE",  "/devices/{}/measurements"),
    row( 908, "Devices.RetrieveLicense",                  "GET",     "/devices/license"),
    row(1100, "Templates.ListTemplates",                  "GET",     "/templates"),
    row(1101, "Templates.ListTypes",                      "GET",     "/templates/types"),
    row(1102, "Templates.ListSignals",                    "GET",     "/templates/signals"),
    row(1103, "Templates.ListFileTypes",                  "GET",     "/templates/files"),
    row(1104, "Templates.RetrieveTemplate",               "GET",     "/templates/{}"),
    row(1105, "Templates.CreateTemplate",                 "POST",    "/templates"),
    row(1106, "Templates.DeleteTemplate",                 "DELETE",  "/templates/{}"),
    row(1107, "Templates.UpdateTemplate",                 "PATCH",   "/templates/{}"),
    row(1108, "Templates.UpdateSignals",                  "PATCH",   "/templates/{}/signals"),
    row(1109, "Templates.UpdateFileTypes",                "PATCH",   "/templates/{}/files"),
    row(1110, "Templates.ListConfigFiles",                "GET",     "/sdkconfig"),
    row(1111, "Templates.CreateConfigFile",               "POST",    "/sdkconfig"),
    row(1112, "Templates.DeleteConfigFile",               "DELETE",  "/sdkconfig"),
    row(1200, "OrganizationsPrivate.List",                "GET",     "/org-private"),
    row(1201, "OrganizationsPrivate.Create",              "POST",    "/org-private"),
    row(1202, "OrganizationsPrivate.Update",              "PATCH",   "/org-private/{}"),
    row(1203, "OrganizationsPrivate.TemplateAdd",         "POST",    "/org-private/{}/templates"),
    row(1204, "OrganizationsPrivate.TemplateRemove",      "DELETE",  "/org-private/{}/templates/{}"),
    //  id  name                                        method     path
    row(1205, "OrganizationsPrivate.Retrieve",            "GET",     "/org-private/{}"),
    row(1206, "OrganizationsPrivate.TemplateList",        "GET",     "/org-private/{}/templates"),
    row(1207, "OrganizationsPrivate.ListAdmins",          "GET",     "/org-private/{}/admins"),
    row(1208, "OrganizationsPrivate.CreateAdmin",         "POST",    "/org-private/{}/admins"),
    row(1209, "OrganizationsPrivate.RemoveAdmin",         "DELETE",  "/org-private/{}/admins/{}"),
    row(1210, "OrganizationsPrivate.ListUsers",           "GET",     "/org-private/{}/users"),
    row(1211, "OrganizationsPrivate.ListStudies",         "GET",     "/org-private/{}/studies"),
    row(1212, "OrganizationsPrivate.UpdateLogo",          "POST",    "/org-private/{}/logo"),
    row(1213, "OrganizationsPrivate.TemplateUpdate",      "PATCH",   "/org-private/{}/templates"),
    row(1214, "OrganizationsPrivate.AddAddress",          "POST",    "/org-private/{}/addresses"),
    row(1215, "OrganizationsPrivate.RemoveOrg",           "DELETE",  "/org-private/{}"),
    row(1216, "OrganizationsPrivate.CreateConsentForOrg", "POST",    "/org-private/{}/consent"),
    row(1217, "OrganizationsPrivate.MeasurementList",     "GET",     "/org-private/{}/measurements"),
    row(1300, "Reports.ReportReady",                      "POST",    "/reports/ready"),
    row(1301, "Reports.ReportCount",                      "POST",    "/reports/count"),
    row(1302, "Reports.MakeReport",                       "POST",    "/reports"),
    row(1400, "Licenses.CreateLicenseAllowedStudy",       "POST",    "/licenses/studies"),
    row(1401, "Licenses.UpdateLicenseAllowedStudy",       "PATCH",   "/licenses/studies/{}"),
    row(1402, "Licenses.RemoveLicenseAllowedStudy",       "DELETE",  "/licenses/studies/{}"),
    row(1403, "Licenses.ListLicenseAllowedStudies",       "GET",     "/licenses/studies"),
    row(1404, "Licenses.RetrieveLicenseAllowedStudy",     "GET",     "/licenses/studies/{}"),
    row(1405, "Licenses.ListLicenses",                    "GET",     "/licenses"),
    row(1406, "Licenses.ListOrgLicenses",                 "GET",     "/licenses/organization"),
    row(1407, "Licenses.CreateLicense",                   "POST",    "/licenses"),
    row(1408, "Licenses.UpdateLicense",                   "PATCH",   "/licenses/{}"),
    row(1409, "Licenses.RemoveLicense",                   "DELETE",  "/licenses/{}"),
    row(1410, "Licenses.RetrieveLicense",                 "GET",     "/licenses/{}"),
    row(1411, "Licenses.RetrieveOrgLicense",              "GET",     "/licenses/organization/{}"),
    row(1412, "Licenses.ListLicenseTypes",                "GET",     "/licenses/types"),
    row(1700, "Addresses.Update",                         "PATCH",   "/addresses/{}"),
    row(1701, "Addresses.Delete",                         "DELETE",  "/addresses/{}"),
    row(1801, "Signals.Retrieve",                         "GET",     "/signals/{}"),
    //  id  name                                        method     path
    row(1803, "Signals.Update",                           "PATCH",   "/signals/{}"),
    row(1804, "Signals.RetrieveMultiple",                 "POST",    "/signals/retrieve-multiple"),
    row(1805, "Signals.List",                             "GET",     "/signals"),
    row(1900, "BillingSchedules.CreateBillingSchedule",   "POST",    "/billing/schedules"),
    row(1901, "BillingSchedules.RetrieveBillingSchedule", "GET",     "/billing/schedules/{}"),
    row(1903, "BillingSchedules.UpdateBillingSchedule",   "PATCH",   "/billing/schedules/{}"),
    row(1904, "BillingSchedules.ListBillingSchedules",    "GET",     "/billing/schedules"),
    row(2000, "BillingPeriods.CreateBillingPeriod",       "POST",    "/billing/periods"),
    row(2001, "BillingPeriods.RetrieveBillingPeriod",     "GET",     "/billing/periods/{}"),
    row(2003, "BillingPeriods.UpdateBillingPeriod",       "PATCH",   "/billing/periods/{}"),
    row(2004, "BillingPeriods.ListBillingPeriods",        "GET",     "/billing/schedules/{}/periods"),
    row(2100, "CostSummaries.CreateCostSummary",          "POST",    "/billing/summaries"),
    row(2101, "CostSummaries.RetrieveCostSummary",        "GET",     "/billing/summaries/{}"),
    row(2103, "CostSummaries.UpdateCostSummary",          "PATCH",   "/billing/summaries/{}"),
    row(2104, "CostSummaries.ListCostSummaries",          "GET",     "/billing/periods/{}/summaries"),
    row(2200, "Brands.Create",                            "POST",    "/brands"),
    row(2201, "Brands.Retrieve",                          "GET",     "/brands/{}"),
    row(2202, "Brands.Remove",                            "DELETE",  "/brands/{}"),
    row(2203, "Brands.Update",                            "PATCH",   "/brands/{}"),
    row(2204, "Brands.List",                              "GET",     "/brands"),
    row(2205, "Brands.GetOrganizationBrand",              "GET",     "/organizations/{}/brand"),
    row(2206, "Brands.RetrieveEmailTemplates",            "GET",     "/brands/{}/templates"),
    row(2207, "Brands.CreateEmailTemplate",               "POST",    "/brands/{}/templates"),
    row(2208, "Brands.RetrieveEmailTemplate",             "GET",     "/brands/templates/{}"),
    row(2209, "Brands.UpdateEmailTemplate",               "PATCH",   "/brands/templates/{}"),
    row(2210, "Brands.DeleteEmailTemplate",               "DELETE",  "/brands/templates/{}"),
    row(2300, "Auths.SendReset",                          "PATCH",   "/auths/users/reset"),
    row(2301, "Auths.ResetPassword",                      "PATCH",   "/auths/users"),
    row(2302, "Auths.SendResetMobile",                    "PATCH",   "/auths/users/reset/mobile"),
    row(2303, "Auths.RequestLoginCodeV2",                 "POST",    "/auths/users/code"),
    row(2304, "Auths.RenewToken",                         "POST",    "/auths/renew"),
    row(2305, "Auths.GenerateToken",                      "POST",    "/auths/generateToken"),
];
